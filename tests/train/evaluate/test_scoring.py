import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from train import tree
from train.config import GPTConfig
from train.evaluate import scoring
from train.evaluate.scoring import Request, Subject, score, windows


def ids_of(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, 300, (count,), generator=generator).tolist()


def test_each_token_gets_the_probability_that_the_logits_give_it(subject, by_hand):
    requests = [Request(ids_of(n, n), first) for n, first in [(9, 8), (30, 3), (2, 1), (49, 20)]]
    for request, found in zip(requests, score(subject.model, requests), strict=True):
        wanted = by_hand(request.ids, request.first)
        assert found.log_probabilities == pytest.approx(wanted, abs=1e-5)
        assert found.total == pytest.approx(sum(wanted), abs=1e-4)


def test_the_likeliest_tokens_are_named_with_and_without_the_banned(subject):
    ids = ids_of(12)
    logits = subject.model(torch.tensor([ids[:-1]]))[0, 6:]
    best = logits.argmax(1).tolist()
    logits[:, best] = -torch.inf
    (found,) = score(subject.model, [Request(ids, 7)], banned=best)
    assert found.likeliest == tuple(best)
    assert found.allowed == tuple(logits.argmax(1).tolist())
    (found,) = score(subject.model, [Request(ids, 7)])
    assert found.allowed == found.likeliest


def test_batches_and_pieces_of_the_head_change_nothing(subject, monkeypatch):
    requests = [Request(ids_of(n, n), max(1, n // 2)) for n in range(2, 60)]
    whole = score(subject.model, requests)
    monkeypatch.setattr(scoring, "CPU_TOKENS", 1)
    monkeypatch.setattr(scoring, "LOGITS", 1)
    for one, other in zip(whole, score(subject.model, requests), strict=True):
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-5)
        assert one.likeliest == other.likeliest


def test_what_is_longer_than_the_context_loses_its_beginning(subject, by_hand):
    ids = ids_of(120)
    (found,) = score(subject.model, [Request(ids, 117)])
    (cut,) = score(subject.model, [Request(ids[-49:], 46)])
    assert found == cut and len(found.log_probabilities) == 3


def test_a_continuation_longer_than_the_context_is_scored_once_a_token(subject):
    ids = ids_of(200)
    (found,) = score(subject.model, [Request(ids, 1)])
    assert len(found.log_probabilities) == 199


def test_a_token_without_anything_before_it_has_no_probability(subject):
    for first in (0, 3):
        with pytest.raises(ValueError, match="nothing before it"):
            score(subject.model, [Request([1, 2, 3], first)])


@given(st.integers(2, 400), st.integers(1, 50), st.integers(1, 60), st.data())
def test_windows_score_each_token_once_with_as_much_before_it_as_fits(count, n_ctx, first, data):
    first = min(first, count - 1)
    stride = data.draw(st.integers(1, n_ctx))
    done = first
    for start, scored, end in windows(count, first, n_ctx, stride):
        assert scored == done < end and start < scored and end - start <= n_ctx + 1
        assert start == max(0, end - n_ctx - 1)
        assert end - scored <= (stride if scored > first else n_ctx)
        done = end
    assert done == count


@pytest.mark.parametrize(
    ("context", "continuation", "scored"),
    [
        ("the city", " and the sea", " and the sea"),
        ("", "the", "the"),
        ("the ci", "ty", None),  # the seam is in a token: what reaches over it is scored
        ("the city", "", None),
    ],
)
def test_context_and_continuation_are_encoded_in_one_piece(subject, context, continuation, scored):
    found = subject.request(context, continuation)
    assert list(found.ids) == subject.begin(context + continuation)
    assert found.ids[0] == subject.eot_id and 1 <= found.first < len(found.ids)
    told = subject.text.decode(list(found.ids[found.first :]))
    assert told == scored if scored else (context + continuation).endswith(told)


def test_texts_begin_with_the_end_of_text_token_or_with_none(subject):
    assert subject.begin("the") == [subject.eot_id, *subject.text.encode("the")]
    assert Subject(subject.model, subject.text, None).begin("the") == subject.text.encode("the")


@pytest.mark.parametrize("changes", [{"norm": "post"}, {"attention": "banded", "band": 8}])
def test_other_architectures_are_scored_alike(drawn, changes):
    config = GPTConfig(n_layer=2, n_head=2, n_embd=32, n_ctx=48, vocab_size=300, **changes)
    model, ids = drawn(config), ids_of(20)
    found, short = score(model, [Request(ids, 10), Request(ids[:12], 10)])
    logits = model(torch.tensor([ids[:-1]]))[0].log_softmax(-1).tolist()
    wanted = [logits[at - 1][ids[at]] for at in range(10, 20)]
    assert found.log_probabilities == pytest.approx(wanted, abs=1e-5)
    assert short.log_probabilities == pytest.approx(wanted[:2], abs=1e-5)


@pytest.mark.parametrize("changes", [{}, {"attention": "banded", "band": 5}, {"norm": "post"}])
@pytest.mark.parametrize("places", [1, 40, 1000])
def test_shared_beginnings_are_computed_once_and_change_nothing(
    drawn, changes, places, monkeypatch
):
    monkeypatch.setattr(scoring, "TREE_PLACES", places)
    config = GPTConfig(n_layer=2, n_head=2, n_embd=32, n_ctx=48, vocab_size=300, **changes)
    model, head = drawn(config), ids_of(12)
    requests = [Request(head + ids_of(n, n), 11) for n in range(1, 9)]
    requests += [Request(head + ids_of(6, 6) + ids_of(3, n), 15) for n in range(3)]
    requests += [Request(head, 4), Request(head, 9), Request(ids_of(70), 60), Request(head[:3], 1)]
    alone = score(model, requests, banned=[5, 6])
    for one, other in zip(alone, score(model, requests, [5, 6], shared=True), strict=True):
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-5)
        assert (one.likeliest, one.allowed) == (other.likeliest, other.allowed)


def test_a_tree_holds_each_beginning_once():
    (row,) = tree.rows([[1, 2, 3], [1, 2, 4, 5], [1, 2], [7]], 100)
    assert row.ids == [1, 2, 3, 4, 5, 7]
    assert row.parents == [-1, 0, 1, 1, 3, -1]
    assert row.depths == [0, 1, 2, 2, 3, 0]
    assert row.paths == {0: [0, 1, 2], 1: [0, 1, 3, 4], 2: [0, 1], 3: [5]}


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1), st.integers(1, 9))
def test_every_text_is_in_one_tree_whole(texts, places):
    found = {}
    for row in tree.rows(texts, places):
        assert len(row.ids) <= max(places, max(map(len, texts)))
        for number, path in row.paths.items():
            assert number not in found
            found[number] = [row.ids[place] for place in path]
            assert [row.parents[place] for place in path] == [-1, *path[:-1]]
    assert [found[number] for number in range(len(texts))] == texts
