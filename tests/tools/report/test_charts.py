import re

import lxml.html
import pytest

from tools.report.charts import lines

TRAINING = [(1, 9.0), (20, 4.0)]


def drawn(*arguments):
    return lxml.html.fragment_fromstring(str(lines(*arguments)), create_parent=True)


def test_no_points_give_no_chart():
    assert lines([("training", [])], [("ln V", 9.0)], "nothing") == ""


def test_lines_span_all_their_points_and_fall_where_the_loss_falls():
    svg = drawn([("training", TRAINING)], [("ln V", 9.01)], "Loss")
    points = svg.xpath("//polyline/@points")[0].split()
    assert len(points) == 2
    assert float(points[0].split(",")[1]) < float(points[1].split(",")[1])  # downwards
    assert float(points[1].split(",")[0]) == 1000  # of a drawing that is 1000 wide


def test_each_line_and_mark_is_named_in_the_legend():
    marks = [("a<b", 9.01), ("counting", 6.5)]
    page = drawn([("training", TRAINING), ("held out", TRAINING)], marks, "Loss")
    legend = [item.text_content().strip() for item in page.xpath("//li")]
    assert legend == ["training", "held out", "9.01: a<b", "6.50: counting"]
    assert len(page.xpath("//svg[@aria-label='Loss']/line[@class='mark']")) == 2


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (1, ["0", "1"]),
        (7, ["0", "2", "4", "6"]),
        (200, ["0", "50", "100", "150", "200"]),
        (600_000, ["0", "200,000", "400,000", "600,000"]),
    ],
)
def test_steps_are_marked_at_round_numbers(steps, expected):
    page = drawn([("training", [(0, 2.0), (steps, 1.0)])], [], "Loss")
    assert page.xpath("//text[contains(@x, '%')]/text()") == expected


def test_letters_are_outside_what_a_narrow_page_shrinks():
    page = drawn([("training", TRAINING)], [("ln V", 9.01)], "Loss")
    stretched = page.xpath("//svg[@viewbox]")
    assert len(stretched) == 1 and not stretched[0].xpath(".//text")
    places = page.xpath("//svg[@class='plot']//*[@x2]/@x2")
    assert places and all(re.fullmatch(r"\d+%", place) for place in places)
