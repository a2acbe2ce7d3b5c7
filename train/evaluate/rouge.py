"""ROUGE (Lin 2004): F1 of the words, pairs of words and common subsequences of two texts.

The rules are those of Google's rouge-score without its stemmer, and of ROUGE-1.5.5 but for stems:
words are runs of a-z and 0-9 in lower case; ROUGE-L is of whole summaries, sentence by sentence.
"""

import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"[a-z0-9]+")


def words_of(text: str) -> list[str]:
    """The words that are compared."""
    return _WORD.findall(text.lower())


def rouge_n(summary: str, reference: str, n: int) -> float:
    """F1 of the n-grams of two texts, each counted as often as it stands in both."""
    ours, theirs = (_grams(words_of(text), n) for text in (summary, reference))
    same = sum((ours & theirs).values())
    return _f1(same, sum(ours.values()), sum(theirs.values()))


def _grams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))


def rouge_l(summary: Sequence[str], reference: Sequence[str]) -> float:
    """F1 of what the sentences of a reference have in common with those of a summary, in order.

    Of a reference's sentence counts each word that is in its longest common subsequence with some
    sentence of the summary; no word counts more often than it stands in either text.
    """
    ours, theirs = ([words_of(one) for one in sentences] for sentences in (summary, reference))
    left = Counter(word for one in ours for word in one)
    same = 0
    for wanted in theirs:
        shared = set[int]().union(*(_common(wanted, found) for found in ours))
        for word in (wanted[at] for at in sorted(shared)):
            if left[word] > 0:
                left[word] -= 1
                same += 1
    return _f1(same, sum(map(len, ours)), sum(map(len, theirs)))


def _common(wanted: Sequence[str], found: Sequence[str]) -> list[int]:
    """Places in `wanted` of a longest common subsequence of both."""
    lengths = [[0] * (len(found) + 1)]
    for word in wanted:
        last, row = lengths[-1], [0]
        for at, other in enumerate(found):
            row.append(last[at] + 1 if word == other else max(last[at + 1], row[at]))
        lengths.append(row)
    i, j, places = len(wanted), len(found), []
    while i and j:
        if wanted[i - 1] == found[j - 1]:
            i, j = i - 1, j - 1
            places.append(i)
        elif lengths[i][j - 1] > lengths[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return places


def _f1(same: int, ours: int, theirs: int) -> float:
    return 2 * same / (ours + theirs) if same else 0.0
