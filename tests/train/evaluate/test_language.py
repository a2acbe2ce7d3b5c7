import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.errors import DataError
from train.evaluate import language
from train.evaluate.detokenize import PTB, WIKITEXT
from train.evaluate.language import (
    BILLION_WORDS,
    ENWIK8,
    PTB_TASK,
    WIKITEXT2,
    WIKITEXT2_ARTICLES,
    Document,
    cut,
    read_tail,
    with_stride,
)
from train.evaluate.task import DataFile, read_file

WIKI = """ \n = The Harbour = \n \n The harbour 's two @-@ mile wall , built in 1 @,@ 204 , cost £ 3 @.@ 5 million ( or more ) . \n \n = = Ships = = \n \n " No ship , " said Dr. <unk> , " sails vs. the wind . " \n \n = The Sea = \n \n It is n 't the captains ' sea ; is it ? \n"""  # noqa: E501 (a line of the format)


@pytest.mark.parametrize(
    ("detokenizer", "line", "text"),
    [
        (WIKITEXT, " a two @-@ mile wall ", "a two-mile wall"),
        (WIKITEXT, " 1 @,@ 204 and 3 @.@ 5 ", "1,204 and 3.5"),
        (WIKITEXT, " 1 @,@ <unk> ", "1,<unk>"),
        (WIKITEXT, " so , it is ; yes : no ! ", "so, it is; yes: no!"),
        (WIKITEXT, " ( it ) [ is ] ", "(it) [is]"),
        (WIKITEXT, ' he said " no " and " yes " . ', 'he said "no" and "yes".'),
        (WIKITEXT, ' an odd " one ', 'an odd "one'),
        (WIKITEXT, " the city 's walls , they 've ", "the city's walls, they've"),
        (WIKITEXT, " ten years ' worth ", "ten years' worth"),
        (WIKITEXT, " £ 5 and 3 % ", "£5 and 3%"),
        (WIKITEXT, " and / or ", "and/or"),
        (
            WIKITEXT,
            " Mr. Smith vs. J. R. of the U.S. went . ",
            "Mr. Smith vs. J. R. of the U.S. went.",
        ),
        (WIKITEXT, " ", ""),
        (WIKITEXT, " = = Ships = = ", "= = Ships = ="),
        (PTB, " it was n't the company 's ", "it wasn't the company's"),
        (PTB, " $ N million of u.s. 's ", "$N million of u.s.'s"),
        (PTB, " ", ""),
    ],
)
def test_a_detokenized_line_reads_as_people_write_and_can_be_had_back(detokenizer, line, text):
    assert detokenizer.line(line) == (text, True)
    assert detokenizer.split(text) == line


@pytest.mark.parametrize("line", [" born c . 1900 ", " two  spaces ", "no space", " a-b ", ' a"b '])
def test_a_line_that_cannot_be_had_back_stays_and_is_counted(line):
    assert WIKITEXT.line(line) == (line, False)
    assert WIKITEXT.text(f" a , b \n{line}\n") == (f"a, b\n{line}\n", 1)


@given(st.lists(st.sampled_from("a Dr. ' 's \" , . @-@ @,@ ( ) 12 <unk> $ = - % /".split())))
def test_no_detokenized_line_stands_for_two(tokens):
    line = f" {' '.join(tokens)} "
    text, undone = WIKITEXT.line(line)
    back = WIKITEXT.split(text) if undone else text
    assert back == line and (undone or text.startswith(" "))


def test_wikitext_2_is_had_back_whole_but_for_39_lines(shared_data):
    found = read_file(shared_data / "eval", WIKITEXT2.files[0])
    assert found.sha256 == WIKITEXT2.files[0].sha256
    (document,) = WIKITEXT2.read([found])
    assert (document.units, document.lines, document.exceptions) == (245_569, 4_358, 39)
    assert "39 of 4,358 lines" in WIKITEXT2.remark([document])
    articles = WIKITEXT2_ARTICLES.read([found])
    assert (len(articles), sum(one.units for one in articles)) == (62, 241_211)


def test_articles_begin_at_titles_alone(tmp_path):
    (tmp_path / "wiki.test.tokens").write_text(WIKI)
    found = read_file(tmp_path, WIKITEXT2_ARTICLES.files[0])
    first, second = WIKITEXT2_ARTICLES.read([found])
    assert first.text.startswith("= The Harbour =\n") and "= = Ships = =" in first.text
    assert second.text.startswith("= The Sea =\n")
    (whole,) = WIKITEXT2.read([found])
    assert whole.units == len(WIKI.split()) + WIKI.count("\n")
    assert "The harbour's two-mile wall, built in 1,204, cost £3.5 million (or more)." in whole.text
    assert '"No ship," said Dr. <unk>, "sails vs. the wind."' in whole.text


@pytest.mark.parametrize("stride", [0, 7, 48, 500])
def test_windows_score_every_token_once_and_share_the_units(subject, stride):
    text = "the city and the sea, where nobody knows which harbour a captain prefers " * 9
    items = cut(subject, [Document("a", text, 100), Document("b", "the sea", 3)], stride)
    tokens = len(subject.text.encode(text)) + len(subject.text.encode("the sea"))
    assert sum(item.tokens for item in items) == tokens
    assert sum(item.units for item in items) == pytest.approx(103)
    assert len({item.id for item in items}) == len(items)
    assert all(len(item.request.ids) <= 49 for item in items)


def test_perplexity_is_by_word_and_bits_are_by_byte(subject, by_hand, tmp_path):
    line = " the city and the sea \n"
    (tmp_path / "ptb.test.txt").write_text(line)
    (tmp_path / "enwik8").write_text(line)
    nats = {}
    for task, text in ((PTB_TASK, "the city and the sea\n"), (ENWIK8, line)):
        read = task.read([read_file(tmp_path, task.files[0])])
        outcomes = list(task.score(subject, task.arrange(subject, read)))
        ids = subject.begin(text)
        nats[task.name] = -sum(by_hand(ids, 1))
        assert outcomes[0]["nats"] == pytest.approx(nats[task.name], abs=1e-4)
        (metric,) = task.metrics
        units = 6 if task is PTB_TASK else len(line)
        wanted = nats[task.name] / units
        wanted = math.exp(wanted) if task is PTB_TASK else wanted / math.log(2)
        assert metric.estimate(outcomes).value == pytest.approx(wanted, rel=1e-4)


def test_overlapping_windows_have_a_protocol_of_their_own():
    assert with_stride(PTB_TASK, 0).digest() == PTB_TASK.digest()
    assert with_stride(PTB_TASK, 32).digest() != PTB_TASK.digest()


def test_sentences_of_1bw_are_texts_of_their_own(tmp_path):
    (tmp_path / BILLION_WORDS.files[0].names[0]).write_text("No , it is .\n\nIt 's so .\n")
    found = BILLION_WORDS.read([read_file(tmp_path, BILLION_WORDS.files[0])])
    assert [(one.text, one.units) for one in found] == [("No, it is.", 6), ("It's so.", 5)]
    assert sum(one.exceptions for one in found) == 0


def test_the_last_bytes_are_read_and_no_character_is_parted(tmp_path, monkeypatch):
    monkeypatch.setattr(language, "HELD_OUT", 5)
    for content, wanted in [
        ("abcdefgh", "defgh"), ("aaéèee", "èee"), ("abc", "abc"), ("aé€€", "€"),
    ]:  # fmt: skip
        (tmp_path / "f").write_bytes(content.encode())
        (document,) = read_tail([read_file(tmp_path, DataFile(("f",)))])
        assert (document.text, document.units) == (wanted, len(wanted.encode()))
    for content in (b"", b"\x80" * 9):
        (tmp_path / "f").write_bytes(content)
        with pytest.raises(DataError, match="no text there"):
            read_tail([read_file(tmp_path, DataFile(("f",)))])
