"""Every row is kept, merged or dropped with a reason, and the sums agree."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.ledger import Ledger, chain, total
from pipeline.errors import StageError

SOUND = st.builds(
    lambda out, merged, drops: Ledger(out + merged + sum(drops.values()), out, merged, drops),
    st.integers(0, 99),
    st.integers(0, 99),
    st.dictionaries(st.sampled_from(["self_post", "removed"]), st.integers(1, 9)).map(Counter),
)


@given(st.lists(SOUND))
def test_the_sum_of_sound_ledgers_is_sound(ledgers):
    for sums in total({"posts": ledger} for ledger in ledgers).values():
        sums.check("sum")
        assert sums.rows_in == sum(ledger.rows_in for ledger in ledgers)


@given(SOUND, st.integers(-3, 3).filter(bool))
def test_a_row_more_or_less_is_found(ledger, error):
    ledger.rows_in += error
    with pytest.raises(StageError, match=r"part 7: .* rows came in, but"):
        ledger.check("part 7")


@given(SOUND)
def test_a_ledger_survives_its_plain_form_with_the_commonest_drop_first(ledger):
    plain = ledger.to_json()
    assert Ledger.from_json(plain) == ledger
    assert list(plain["drops"].values()) == sorted(plain["drops"].values(), reverse=True)


def test_a_stage_takes_in_what_its_first_step_does_and_gives_out_what_its_last_does():
    steps = [
        {"posts": Ledger(10, 8, 0, Counter(self_post=2))},
        {"records": Ledger(5, 5)},
        {"posts": Ledger(8, 3, 4, Counter(karma_low=1))},
    ]
    sums = chain(steps, "links")
    assert sums["posts"] == Ledger(10, 3, 4, Counter(self_post=2, karma_low=1))
    assert sums["records"] == Ledger(5, 5)


def test_rows_that_vanish_between_steps_are_named():
    steps = [{"posts": Ledger(10, 10)}, {"posts": Ledger(9, 9)}]
    with pytest.raises(StageError, match=r"links, step 2: 9 posts were received, but 10"):
        chain(steps, "links")
