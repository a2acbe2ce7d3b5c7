"""WMT 2014, English and French: a sentence after "=" (Bojar et al. 2014).

The files are the .sgm files of newstest2014: source and reference, a <seg id="N"> each. BLEU is
sacrebleu's, the extra `eval`.
"""

import html
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

from train.errors import SettingsError
from train.evaluate.scoring import Subject
from train.evaluate.task import DataFile, Estimate, Found, Metric, Outcome, Task, mean
from train.evaluate.writing import cut_beginning, fill, sentence_end, write

TRANSLATION_TOKENS = 80
PAIR, LAST = "{source} = {target}\n", "{source} ="
# Ours, written for this: English and French.
EXAMPLES = (
    ("The house by the river is old.", "La maison près de la rivière est vieille."),
    ("They will arrive on Monday evening.", "Ils arriveront lundi soir."),
    ("The minister said that the law would change.", "Le ministre a dit que la loi changerait."),
    ("How much does this book cost?", "Combien coûte ce livre ?"),
    ("We have not yet received an answer.", "Nous n'avons pas encore reçu de réponse."),
)
SEGMENT = re.compile(r'<seg\s+id="?(\d+)"?\s*>(.*?)</seg>', re.DOTALL | re.IGNORECASE)
DOCUMENT = re.compile(r"<doc\b[^>]*>(.*?)</doc>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Sentence:
    """A sentence, its translation, and whether it is French that is translated."""

    id: str
    source: str
    reference: str
    from_french: bool

    def whole(self) -> str:
        """Sentence and translation."""
        return f"{self.source} {self.reference}"

    def prompt(self) -> str:
        """The example pairs, the sentence, and "="."""
        pairs = [(fr, en) if self.from_french else (en, fr) for en, fr in EXAMPLES]
        told = (fill(PAIR, {"source": one, "target": other}) for one, other in pairs)
        return "".join(told) + fill(LAST, {"source": self.source})


def segments(file: Found) -> list[str]:
    """The segments of an .sgm file, in order, in single spaces; DataError where there are none."""
    documents = DOCUMENT.findall(file.text()) or [file.text()]
    found = [
        " ".join(html.unescape(text).split())
        for document in documents
        for _, text in SEGMENT.findall(document)
    ]
    if not found:
        raise file.refusal(1, 'no <seg id="…"> of an .sgm file')
    return found


def read(files: Sequence[Found], *, from_french: bool) -> list[Sentence]:
    """The pairs of source and reference; DataError where they are not equally many."""
    source, reference = files
    ours, theirs = segments(source), segments(reference)
    if len(ours) != len(theirs):
        told = f"{len(theirs):,} segments, and {source.path.name} has {len(ours):,}"
        raise reference.refusal(1, told)
    pairs = enumerate(zip(ours, theirs, strict=True), 1)
    return [Sentence(str(number), one, other, from_french) for number, (one, other) in pairs]


def _sacrebleu() -> Any:
    if not find_spec("sacrebleu"):
        raise SettingsError("BLEU needs sacrebleu: pip install 'webtext[eval]', or sacrebleu alone")
    from sacrebleu.metrics import BLEU

    return BLEU()


def counts_of(scorer: Any, translation: str, reference: str) -> dict[str, list[int]]:
    """What BLEU adds up over sentences: n-grams that match, and all; words of both."""
    found = scorer.corpus_score([translation], [[reference]])
    return {
        "correct": list(found.counts),
        "total": list(found.totals),
        "words": [found.sys_len, found.ref_len],
    }


def score(subject: Subject, items: Sequence[Sentence]) -> Iterator[Outcome]:
    """The first sentence that greedy decoding writes, and what BLEU counts of it."""
    scorer = _sacrebleu()
    prompts = [cut_beginning(subject, item.prompt(), TRANSLATION_TOKENS) for item in items]
    written = write(subject, [ids for ids, _ in prompts], TRANSLATION_TOKENS, sentence_end)
    for item, (_, cut), one in zip(items, prompts, written, strict=True):
        counts = counts_of(scorer, one.text, item.reference)
        yield {"id": item.id, "translation": one.text, "reference": item.reference, "cut": cut,
               **counts}  # fmt: skip


def bleu(outcomes: Sequence[Outcome]) -> Estimate:
    """BLEU of all sentences together; its error by leaving out each one in turn (jackknife)."""
    scorer = type(_sacrebleu())
    sums = [_flat(one) for one in outcomes]
    whole = [sum(column) for column in zip(*sums, strict=True)]
    n = len(sums)
    if n < 2:
        return Estimate(_bleu(scorer, whole), None)
    each = [_bleu(scorer, [a - b for a, b in zip(whole, one, strict=True)]) for one in sums]
    middle = sum(each) / n
    spread = math.sqrt((n - 1) / n * sum((one - middle) ** 2 for one in each))
    return Estimate(_bleu(scorer, whole), spread)


def _flat(one: Outcome) -> list[int]:
    return [*one["correct"], *one["total"], *one["words"]]


def _bleu(scorer: Any, sums: Sequence[int]) -> float:
    found = scorer.compute_bleu(
        list(sums[:4]), list(sums[4:8]), sums[8], sums[9], smooth_method="exp"
    )
    return float(found.score)


def _translation(name: str, source: str, target: str, paper: float) -> Task:
    return Task(
        name=name,
        title=f"WMT 2014, {source} to {target}",
        files=(
            DataFile((f"newstest2014-fren-src.{source}.sgm",)),
            DataFile((f"newstest2014-fren-ref.{target}.sgm",)),
        ),
        read=partial(read, from_french=source == "fr"),
        score=score,
        metrics=(
            Metric("BLEU", bleu, "score", (None, None, None, paper)),
            mean("prompts cut", "cut"),
        ),
        protocol={
            "prompt": PAIR + LAST,
            "examples": " / ".join(f"{en} {fr}" for en, fr in EXAMPLES),
            "too long": "the examples lose their beginning",
            "translation": f"greedy, the first sentence or line, {TRANSLATION_TOKENS} tokens at "
            "most",
            "BLEU": "sacrebleu, 13a, with case, one reference",
        },
        differs="the paper gives 1542M alone; it publishes neither its example pairs, nor how many "
        "they are, nor how its BLEU splits words",
        format_seen=False,
    )


WMT14_EN_FR = _translation("wmt14_en_fr", "en", "fr", 5.0)
WMT14_FR_EN = _translation("wmt14_fr_en", "fr", "en", 11.5)
