"""Answers beside the right ones: normalised text, exact match and F1, as SQuAD and CoQA have them.

The rules are those of CoQA's official script (evaluate-v1.0.py): lower case, then no punctuation,
no articles, single spaces.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(answer: str) -> str:
    """An answer as it is compared."""
    bare = answer.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def exact(answer: str, right: Sequence[str]) -> bool:
    """Whether an answer is one of the right ones."""
    return normalised(answer) in map(normalised, right)


def f1(answer: str, right: str) -> float:
    """The harmonic mean of precision and recall of words; of an empty one, whether both are."""
    found, wanted = normalised(answer).split(), normalised(right).split()
    if not found or not wanted:
        return float(found == wanted)
    same = sum((Counter(found) & Counter(wanted)).values())
    return 2 * same / (len(found) + len(wanted))


def f1_among(answer: str, right: Sequence[str]) -> float:
    """CoQA's F1 beside several people's answers: the best, averaged over leaving each one out.

    So a model is compared with as many people as a person is.
    """
    if len(right) < 2:
        return max((f1(answer, one) for one in right), default=0.0)
    each = [f1(answer, one) for one in right]
    return sum(max(each[:at] + each[at + 1 :]) for at in range(len(each))) / len(each)
