"""A few whole builds with faults; `python -m tools.benchmarks.faults` has as many as one likes."""

import json

import pytest

from tools.benchmarks.fault_site import rows_unaccounted_for
from tools.benchmarks.faults import main


def stage(rows_in, rows_out, merged=0, **drops):
    return {"rows_in": rows_in, "rows_out": rows_out, "merged": merged, "drops": drops}


def test_a_row_that_no_ledger_has_is_counted():
    sound = {"links": stage(9, 4, merged=3, karma_low=2), "pages": stage(4, 4)}
    assert rows_unaccounted_for(sound) == 0
    assert rows_unaccounted_for({**sound, "links": stage(9, 4, merged=3)}) == 2
    assert rows_unaccounted_for({**sound, "pages": stage(3, 3)}) == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("store", "kinds"),
    [
        ("disk", ("kill all", "second build", "damage", "late commit")),
        ("s3", ("kill all", "store throttles", "uploads are torn")),
    ],
)
def test_a_build_with_faults_ends_as_one_without(store, kinds, capsys):
    words = ["--cases", "1", "--seed", "3", "--store", store, "--json", "--kinds", *kinds]
    assert main(words) == 0
    (case,) = json.loads(capsys.readouterr().out)
    assert case["happened"]
