import json
import math
import random

import pytest

from train.__main__ import main
from train.evaluate.compare import paired
from train.evaluate.lambada import LAMBADA
from train.evaluate.task import mean, ratio

PERPLEXITY, FILTERED = LAMBADA.metrics[:2]


def outcomes(values):
    return [
        {"id": str(n), "nats": x, "correct_filtered": x < 2, "correct": x < 1, "correct_last": True}
        for n, x in enumerate(values)
    ]


def test_what_is_hard_for_both_is_no_part_of_the_error():
    drawn = random.Random(1)
    a = [drawn.uniform(0, 4) for _ in range(400)]
    b = [x - 0.1 + drawn.gauss(0, 0.01) for x in a]
    found = paired("lambada", PERPLEXITY, outcomes(a), outcomes(b))
    alone = PERPLEXITY.estimate(outcomes(a)).standard_error
    assert found.a == pytest.approx(math.exp(sum(a) / 400))
    assert found.difference == pytest.approx(found.a * (math.exp(-0.1) - 1), rel=0.02)
    assert found.standard_error < alone / 5


def test_items_that_one_alone_solved_are_counted():
    found = paired("lambada", FILTERED, outcomes([1, 1, 3, 3, 1]), outcomes([1, 3, 1, 3, 3]))
    assert (found.only_a, found.only_b, found.items) == (2, 1, 5)
    assert found.difference == pytest.approx(-0.2)
    gaps = [0, -1, 1, 0, -1]
    spread = sum((gap + 0.2) ** 2 for gap in gaps) / 4
    assert found.standard_error == pytest.approx(math.sqrt(spread / 5))


def test_the_error_of_a_ratio_is_that_of_many_drawings():
    drawn = random.Random(2)
    values = []
    for _ in range(300):
        units = [drawn.randint(1, 9) for _ in range(200)]
        items = [{"x": y * drawn.gauss(1, 0.3), "y": y} for y in units]
        values.append(ratio("x", "y", math.exp)(items))
    centre = sum(one.value for one in values) / 300
    spread = math.sqrt(sum((one.value - centre) ** 2 for one in values) / 299)
    told = sum(one.standard_error for one in values) / 300
    assert told == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize(
    ("values", "value", "error"), [([1, 0, 1, 0], 0.5, math.sqrt(1 / 12)), ([1], 1.0, None)]
)
def test_a_share_has_the_error_of_a_mean(values, value, error):
    found = mean("share", "x").estimate([{"x": x} for x in values])
    assert found.value == value
    assert found.standard_error == (error if error is None else pytest.approx(error))


def write(path, values, **changes):
    head = {"task": "lambada", "protocol": LAMBADA.digest()} | changes
    path.write_text("".join(json.dumps(head | one) + "\n" for one in outcomes(values)))
    return str(path)


def test_two_files_of_items_are_compared_in_pairs(tmp_path, capsys):
    a, b = write(tmp_path / "a", [1, 2, 3]), write(tmp_path / "b", [1, 1, 3, 4])
    assert main(["evaluate", a, "--compare", b, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["unpaired"] == 1 and found["rows"][1]["only_b"] == 1
    assert main(["evaluate", a, "--compare", b]) == 0
    told = capsys.readouterr().out
    assert "B - A" in told and "+33.33" in told and "1 items are in one file alone" in told


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"protocol": "other"}, "by protocol"), ({"task": "unknown"}, "no item in common")],
)
def test_what_cannot_be_compared_is_refused(tmp_path, capsys, changes, told):
    a, b = write(tmp_path / "a", [1, 2]), write(tmp_path / "b", [1, 1], **changes)
    assert main(["evaluate", a, "--compare", b]) == 2
    assert told in capsys.readouterr().err


def test_another_file_is_no_file_of_items(tmp_path, capsys):
    a = write(tmp_path / "a", [1, 2])
    for content in ("", "[1]\n", "{}\n", "no JSON\n"):
        (tmp_path / "b").write_text(content)
        assert main(["evaluate", a, "--compare", str(tmp_path / "b")]) == 2
        assert "no file of items" in capsys.readouterr().err


@pytest.mark.parametrize("change", [{"correct": "yes"}, {"correct": None}])
def test_outcomes_without_their_numbers_are_named_with_both_files(tmp_path, capsys, change):
    a = write(tmp_path / "a", [1, 2])
    rows = [json.loads(line) | change for line in (tmp_path / "a").read_text().splitlines()]
    (tmp_path / "b").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["evaluate", a, "--compare", str(tmp_path / "b")]) == 2
    told = capsys.readouterr().err
    assert a in told and str(tmp_path / "b") in told and "--items FILE writes whole ones" in told
