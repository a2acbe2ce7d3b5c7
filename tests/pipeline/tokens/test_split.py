from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.settings import ShardsSettings
from pipeline.tokens.split import (
    BLOCK_CHARS,
    SplitRules,
    order_limit,
    order_of,
    pieces,
    split_of,
)

RULES = SplitRules.of(ShardsSettings())
IDS = [f"{number:032x}" for number in range(4000)]


def held_out(rules: SplitRules) -> set[str]:
    return {name for name in IDS if split_of(name, "example.org", rules) == "val"}


def test_about_the_asked_share_is_held_out():
    assert 0.04 < len(held_out(RULES)) / len(IDS) < 0.06
    assert not held_out(replace(RULES, val_share=0))


def test_a_larger_share_only_adds_documents():
    assert held_out(RULES) < held_out(replace(RULES, val_share=0.1))


def test_another_seed_holds_out_others_and_orders_anew():
    other = replace(RULES, seed=2)
    assert held_out(other) != held_out(RULES)
    assert order_of(IDS[0], other) != order_of(IDS[0], RULES)


def test_split_by_host_keeps_a_hosts_documents_together():
    rules = replace(RULES, split_by="host", val_share=0.5)
    assert len({split_of(name, "example.org", rules) for name in IDS}) == 1
    assert len({split_of(IDS[0], f"h{i}.example", rules) for i in range(50)}) == 2


def test_a_document_without_a_host_is_split_by_its_id():
    rules = replace(RULES, split_by="host", val_share=0.5)
    assert len({split_of(name, "", rules) for name in IDS}) == 2


BLOCKS = replace(RULES, split_by="block", val_share=0.3)
LINE = "The ferry left at nine and nobody on the pier could say why.\n"


@given(st.text(st.sampled_from("ab \n"), max_size=40), st.integers(0, 3000), st.integers(0, 99))
def test_pieces_together_are_the_text_and_differ_in_split_by_turns(unit, times, seed):
    text = unit * times
    cut = list(pieces(IDS[seed], "h.example", text, replace(BLOCKS, seed=seed)))
    assert "".join(piece.text for piece in cut) == text
    assert all(one.split != other.split for one, other in pairwise(cut))
    assert len({piece.id for piece in cut}) == len(cut)
    assert all(len(piece.id) == 32 for piece in cut)
    assert not cut or cut[0].id == IDS[seed]


def test_about_the_asked_share_of_one_text_is_held_out_at_borders_of_lines():
    text = LINE * 20_000
    cut = list(pieces(IDS[0], "", text, BLOCKS))
    held_out = sum(len(piece.text) for piece in cut if piece.split == "val")
    assert 0.25 < held_out / len(text) < 0.35
    assert all(piece.text.endswith("\n") for piece in cut)
    assert all(len(piece.text) >= BLOCK_CHARS for piece in cut[:-1])


@pytest.mark.parametrize(("unit", "ends"), [("word ", "word"), ("漢字", "字")])
def test_a_line_without_an_end_is_cut_before_a_space_or_anywhere(unit, ends):
    cut = list(pieces(IDS[0], "", unit * 50_000, BLOCKS))
    assert len(cut) > 4
    assert all(piece.text.endswith(ends) for piece in cut[:-1])


def test_other_documents_hold_out_other_blocks_and_a_larger_share_only_adds():
    def held_out(name, share):
        drawn = pieces(name, "", LINE * 20_000, replace(BLOCKS, val_share=share))
        at, found = 0, set()
        for piece in drawn:
            if piece.split == "val":
                found |= set(range(at, at + len(piece.text)))
            at += len(piece.text)
        return found

    assert held_out(IDS[0], 0.1) < held_out(IDS[0], 0.3)
    assert held_out(IDS[0], 0.1) != held_out(IDS[1], 0.1)


def test_a_document_that_is_not_split_by_block_stays_whole():
    (piece,) = pieces(IDS[0], "h.example", LINE * 20_000, RULES)
    assert (piece.id, piece.text) == (IDS[0], LINE * 20_000)
    assert piece.split == split_of(IDS[0], "h.example", RULES)


def test_the_order_is_no_function_of_the_split():
    rules = replace(RULES, val_share=0.5)
    orders = {split: [] for split in ("train", "val")}
    for name in IDS:
        orders[split_of(name, "", rules)].append(order_of(name, rules) / 2**63)
    assert all(0.45 < np.mean(values) < 0.55 for values in orders.values())


def test_the_split_rule_is_pinned():
    # Changing it would move held-out documents into training: a new version of both stages.
    assert order_of(IDS[0], RULES) == 8969103545605535224
    assert len(held_out(RULES)) == 206


def test_a_sample_takes_the_first_documents_in_order_until_it_is_full():
    orders = np.array([50, 10, 40, 20, 30])
    sizes = np.array([5, 1, 4, 2, 3])
    assert order_limit(orders, sizes, 3) == 20
    assert order_limit(orders, sizes, 4) == 30
    assert order_limit(orders[::-1], sizes[::-1], 4) == 30


def test_a_sample_without_a_limit_or_under_it_takes_all():
    orders, sizes = np.array([3, 1]), np.array([10, 10])
    assert order_limit(orders, sizes, 0) == 2**63 - 1
    assert order_limit(orders, sizes, 20) == 2**63 - 1
    assert order_limit(orders[:0], sizes[:0], 5) == 2**63 - 1
