"""Answers as JSON in a WARC file, as rows of a table, and the ids of links as a compact set."""

from dataclasses import dataclass
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.pages.archive.outcomes import Answer, Hop, Outcome, Source

DETAIL_CHARS_MAX = 1_000
_Numbers = npt.NDArray[np.uint64]


def as_json(answer: Answer) -> bytes:
    """An answer as the block of a metadata record, with the chain of redirects."""
    return msgspec.json.encode(
        {
            "id": answer.id,
            "key": answer.key,
            "url": answer.url,
            "source": answer.source.value,
            "outcome": answer.outcome.value,
            "is_final": answer.outcome.is_final,
            "status": answer.status,
            "captured_s": answer.captured_s,
            "answered_s": answer.answered_s,
            "first_post_s": answer.first_post_s,
            "distance_s": answer.distance_s,
            "final_url": answer.final_url,
            "redirects": [{"url": hop.url, "status": hop.status} for hop in answer.redirects],
            "record_id": answer.record_id,
            "payload_digest": answer.payload_digest,
            "preferences": answer.preferences,
            "detail": answer.detail[:DETAIL_CHARS_MAX],
        }
    )


def answer_of(told: dict[str, Any]) -> Answer:
    """The answer that `as_json` told; raises KeyError, ValueError or TypeError for others."""
    return Answer(
        id=str(told["id"]),
        key=str(told["key"]),
        url=str(told["url"]),
        source=Source(told["source"]),
        outcome=Outcome(told["outcome"]),
        answered_s=int(told["answered_s"]),
        first_post_s=_number(told["first_post_s"]),
        captured_s=_number(told["captured_s"]),
        status=int(told["status"]),
        final_url=str(told["final_url"]),
        redirects=tuple(Hop(str(hop["url"]), int(hop["status"])) for hop in told["redirects"]),
        record_id=str(told["record_id"]),
        payload_digest=str(told["payload_digest"]),
        preferences=str(told["preferences"]),
        detail=str(told["detail"]),
    )


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def as_row(answer: Answer, segment: str, lying: tuple[int, int] | None) -> dict[str, Any]:
    """A row of ANSWER; `lying` is where the record of the answer lies in the segment."""
    offset, length = lying or (0, 0)
    return {
        "id": answer.id,
        "key": answer.key,
        "url": answer.url,
        "source": answer.source.value,
        "outcome": answer.outcome.value,
        "is_final": answer.outcome.is_final,
        "status": answer.status,
        "captured_s": answer.captured_s,
        "answered_s": answer.answered_s,
        "distance_s": answer.distance_s,
        "final_url": answer.final_url,
        "redirects": len(answer.redirects),
        "payload_digest": answer.payload_digest,
        "preferences": answer.preferences,
        "detail": answer.detail[:DETAIL_CHARS_MAX],
        "segment": segment if lying else "",
        "offset": offset,
        "length": length,
    }


def last_of_each(answers: pa.Table) -> pa.Table:
    """The last row of each link and source, by `answered_s`; of equal times the last as given."""
    if not answers.num_rows:
        return answers
    place = pa.array(np.arange(answers.num_rows))
    ordered = answers.append_column("_place", place).sort_by(
        [("answered_s", "ascending"), ("_place", "ascending")]
    )
    numbered = pa.table(
        {
            "id": ordered["id"],
            "source": ordered["source"],
            "at": pa.array(np.arange(ordered.num_rows)),
        }
    )
    last = numbered.group_by(["id", "source"]).aggregate([("at", "max")])
    return ordered.take(last["at_max"].sort()).drop_columns(["_place"])


@dataclass(frozen=True)
class IdSet:
    """Ids of links, at 16 bytes each: the two halves of each, sorted by the first."""

    high: _Numbers
    low: _Numbers

    @classmethod
    def of(cls, ids: pa.Array | pa.ChunkedArray) -> Self:
        """The set of these ids, 32 hexadecimal digits each."""
        high, low = _halves(ids)
        order = np.lexsort((low, high))
        return cls(high[order], low[order])

    def __len__(self) -> int:
        return len(self.high)

    def holds(self, ids: pa.Array) -> npt.NDArray[np.bool_]:
        """For each of these ids whether it is in the set."""
        high, low = _halves(ids)
        at = np.searchsorted(self.high, high)
        found = np.zeros(len(high), bool)
        going = np.flatnonzero(at < len(self.high))
        while len(going):  # once, but for ids that share their first half
            at_going = at[going]
            same = self.high[at_going] == high[going]
            found[going] |= same & (self.low[at_going] == low[going])
            going = going[same & ~found[going]]
            at[going] += 1
            going = going[at[going] < len(self.high)]
        return found


def _halves(ids: pa.Array | pa.ChunkedArray) -> tuple[_Numbers, _Numbers]:
    chunks = ids.chunks if isinstance(ids, pa.ChunkedArray) else [ids]
    data = b"".join(bytes.fromhex("".join(chunk.to_pylist())) for chunk in chunks)
    numbers = np.frombuffer(data, ">u8").astype(np.uint64).reshape(-1, 2)
    return numbers[:, 0], numbers[:, 1]
