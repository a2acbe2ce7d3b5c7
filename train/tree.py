"""Texts with common beginnings in one row of tokens, each beginning once: a tree.

A token sees its ancestors and itself, whatever stands between them in the row, and has the position
of its depth. So keys and values of what texts share are computed once, at no cost in exactness.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tree:
    """Which of a row's T places each place sees, and at which position of its text it stands."""

    sees: Tensor  # (B, T, T), True where it sees
    at: Tensor  # (B, T)


@dataclass
class Row:
    """A tree as it grows: each place's token, its parent's place (-1 at the root) and its depth."""

    ids: list[int]
    parents: list[int]
    depths: list[int]
    paths: dict[int, list[int]]  # the places of each text, by its number


def rows(texts: Sequence[Sequence[int]], places: int) -> Iterator[Row]:
    """Trees of about so many places, or of one text; each text is in one of them.

    Texts come in the order of their tokens, so that those with a common beginning are together.
    """
    row = Row([], [], [], {})
    path: list[int] = []
    before: Sequence[int] = []
    for number in sorted(range(len(texts)), key=lambda n: list(texts[n])):
        text = texts[number]
        shared = common(before, text)
        if row.ids and len(row.ids) + len(text) - shared > places:
            yield row
            row, path, shared = Row([], [], [], {}), [], 0
        path = path[:shared]
        for token in text[shared:]:
            row.parents.append(path[-1] if path else -1)
            row.depths.append(len(path))
            path.append(len(row.ids))
            row.ids.append(token)
        row.paths[number], before = path, text
    if row.ids:
        yield row


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts have in common from their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def tree_of(batch: Sequence[Row], device: torch.device) -> tuple[Tensor, Tree]:
    """(B, T) ids of the rows, filled up on the right, and what their places see."""
    longest = max(len(row.ids) for row in batch)
    ids_BT = torch.zeros(len(batch), longest, dtype=torch.long)
    at_BT = torch.zeros_like(ids_BT)
    sees_BTT = torch.eye(longest, dtype=torch.bool).repeat(len(batch), 1, 1)
    for b, row in enumerate(batch):
        ids_BT[b, : len(row.ids)] = torch.tensor(row.ids)
        at_BT[b, : len(row.ids)] = torch.tensor(row.depths)
        for path in row.paths.values():
            places = torch.tensor(path)
            below = torch.tril(torch.ones(len(path), len(path), dtype=torch.bool))
            sees_BTT[b][places[:, None], places] |= below
    return ids_BT.to(device), Tree(sees_BTT.to(device), at_BT.to(device))
