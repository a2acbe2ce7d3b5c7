from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from justext.core import revise_paragraph_classification

from pipeline.documents.extractors import EXTRACTORS
from pipeline.documents.neighbours import revise_paragraphs


@dataclass
class Paragraph:
    cf_class: str
    class_type: str = ""
    heading: bool = False


@given(st.lists(st.sampled_from(["good", "bad", "neargood", "short"]), max_size=30))
def test_the_verdicts_are_those_of_justext(classes):
    ours, theirs = ([Paragraph(name) for name in classes] for _ in range(2))
    revise_paragraphs(ours)
    revise_paragraph_classification(theirs)
    assert ours == theirs


def test_a_page_of_short_paragraphs_is_done_in_linear_time():
    # By justext's own walk this takes hours: the suite's time limit would end it.
    revise_paragraphs([Paragraph("short") for _ in range(1_000_000)])


def test_the_engine_uses_it(monkeypatch):
    def walk(*_):
        raise AssertionError("justext's own walk")

    monkeypatch.setattr("justext.core._get_neighbour", walk)
    monkeypatch.setattr("trafilatura.external.LOGGER.error", walk)
    EXTRACTORS["trafilatura"]("<html><body>" + "<td>x" * 100)
