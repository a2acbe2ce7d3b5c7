import numpy as np
import pytest
from datasketch import MinHash

from pipeline.corpus import minhash
from pipeline.corpus.minhash import N_PERM, signatures
from pipeline.corpus.shingles import ShingleSets, shingle_sets

TEXTS = ["", "one", *(" ".join(f"w{i * j % 97}" for j in range(300)) for i in range(20)), ""]
GOLDEN = "0x159bbff396"


def test_signatures_are_those_of_datasketch() -> None:
    sets = shingle_sets(TEXTS)
    signed = signatures(sets)
    for i in range(len(TEXTS)):
        theirs = MinHash(N_PERM, hashfunc=lambda hashed: hashed)
        upper = (sets.of(i) >> np.uint64(32)).tolist()
        if upper:
            theirs.update_batch(upper)
        assert np.array_equal(signed[i], theirs.hashvalues)


def test_blocks_and_views_of_sets_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = shingle_sets(TEXTS)
    signed = signatures(sets)
    monkeypatch.setattr(minhash, "_BATCH_SHINGLES", 10)
    assert (signatures(sets) == signed).all()
    assert (signatures(ShingleSets(sets.hashes, sets.offsets[5:12])) == signed[5:11]).all()


def test_signatures_are_what_they_were() -> None:
    """A change here makes the indexes useless that people made of `dedup --signatures`."""
    sets = shingle_sets(["The quick brown fox jumps over the lazy dog", "漢字 and a word"])
    assert hex(int(signatures(sets)[0].astype(np.uint64).sum())) == GOLDEN
