r"""Log-probabilities and speed beside lm-eval, on real files and an exported model, in fp32.

    python -m train.benchmarks.harness FOLDER --data DIR --limit 200

FOLDER is a Hugging Face folder with its tokenizer, DIR has the files of LAMBADA, WikiText-2 and
WSC273. `pip install lm-eval` is needed, for this alone. It begins a passage with nothing, so ours
do here as well. Texts and their log-probabilities are the same; both sides are timed with their
tokenization, in turns, and lm-eval at the fastest of --batches. Beside the gain of Winograd from
shared beginnings stands the most that they allow: the products of all texts over those of their
tree, in which each token and each place that predicts stands once.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from train import tree
from train.evaluate import language, winograd
from train.evaluate.lambada import LAMBADA
from train.evaluate.scoring import Request, Subject
from train.evaluate.task import Task, read_file
from train.given import opened
from train.runs import TOKENIZER
from train.text import Text

Pairs = list[tuple[str, str]]


def items_of(task: Task, folder: Path, limit: int) -> Any:
    """The first items of a task."""
    return task.read([read_file(folder, file) for file in task.files])[:limit]


def lambada_pairs(folder: Path, limit: int) -> Pairs:
    """Contexts and last words."""
    return [(item.context, f" {item.word}") for item in items_of(LAMBADA, folder, limit)]


def winograd_pairs(folder: Path, limit: int) -> Pairs:
    """For each candidate the part before the pronoun, and what follows with the candidate."""
    return [
        (item.before, text[len(item.before) :] + item.after)
        for item in items_of(winograd.WINOGRAD, folder, limit)
        for text in item.filled()
    ]


def ours(subject: Subject, pairs: Pairs, *, shared: bool = False) -> list[float]:
    """ln p of each second text after the first."""
    requests = [subject.request(*pair) for pair in pairs]
    return [one.total for one in subject.score(requests, shared=shared)]


def ours_of_texts(subject: Subject, texts: Sequence[str]) -> list[float]:
    """ln p of whole texts, in disjoint windows."""
    return [one.total for one in subject.score([Request(subject.begin(t), 1) for t in texts])]


def instances(kind: str, arguments: Sequence[tuple[str, ...]]) -> list[Any]:
    """lm-eval's requests."""
    from lm_eval.api.instance import Instance

    return [Instance(kind, {}, one, at) for at, one in enumerate(arguments)]


def harness(folder: Path, n_ctx: int, batch: int) -> Any:
    """lm-eval's model of the folder."""
    from lm_eval.models.huggingface import HFLM

    return HFLM(
        str(folder), device="cpu", dtype="float32", batch_size=batch, max_length=n_ctx,
        add_bos_token=False,
    )  # fmt: skip


def theirs(model: Any, pairs: Pairs) -> list[float]:
    """ln p of each second text after the first, by lm-eval."""
    return [one for one, _ in model.loglikelihood(instances("loglikelihood", pairs), True)]


def theirs_of_texts(model: Any, texts: Sequence[str]) -> list[float]:
    """ln p of whole texts in disjoint windows, by lm-eval."""
    of = instances("loglikelihood_rolling", [(text,) for text in texts])
    return list(model.loglikelihood_rolling(of, True))


def difference(one: Sequence[float], other: Sequence[float]) -> float:
    """The largest difference as a share of the log-probability."""
    return max((abs(a - b) / abs(b) for a, b in zip(one, other, strict=True)), default=0.0)


def in_turns(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each way, one after the other in each round."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.process_time()
            way()
            times[name].append(time.process_time() - began)
    return {name: statistics.median(each) for name, each in times.items()}


def sharing_bounds(subject: Subject, pairs: Pairs) -> dict[str, float]:
    """How many times less work a tree of all beginnings is: by tokens alone, and by products.

    The blocks' products are as many as tokens, the head's as many as places that predict: of these
    fewer are the same, so tokens alone promise too much.
    """
    requests = [subject.request(*pair) for pair in pairs]
    lengths = [len(one.ids) - 1 for one in requests]
    (row,) = tree.rows([one.ids[:-1] for one in requests], sum(lengths))
    scored = [row.paths[n][one.first - 1 :] for n, one in enumerate(requests)]
    head = subject.model.config.vocab_size * subject.model.config.n_embd
    blocks = sum(p.numel() for p in subject.model.transformer["h"].parameters())
    alone = blocks * sum(lengths) + head * sum(map(len, scored))
    shared = blocks * len(row.ids) + head * len({place for of in scored for place in of})
    return {"tokens": sum(lengths) / len(row.ids), "products": alone / shared}


def main(argv: Sequence[str] | None = None) -> int:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--articles", type=int, default=3)
    parser.add_argument("--batches", default="1,4,16,64")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(argv)
    torch.set_num_threads(given.threads)
    held = opened(given.folder, best=False, device="cpu", note=lambda _: None)
    text = Text(given.folder / TOKENIZER)
    alone, begun = Subject(held.model, text, None), Subject(held.model, text, held.eot_id)
    n_ctx = held.model.config.n_ctx
    models = {int(b): harness(given.folder, n_ctx, int(b)) for b in given.batches.split(",")}
    last, schemas = (f(given.data, given.limit) for f in (lambada_pairs, winograd_pairs))
    articles = [
        one.text for one in items_of(language.WIKITEXT2_ARTICLES, given.data, given.articles)
    ]
    first = next(iter(models.values()))
    found = {
        "lambada": difference(ours(alone, last), theirs(first, last)),
        "winograd": difference(ours(alone, schemas, shared=True), theirs(first, schemas)),
        "wikitext2_articles": difference(
            ours_of_texts(begun, articles), theirs_of_texts(first, articles)
        ),
    }
    for name, pairs in (("lambada", last), ("winograd", schemas)):
        ways: dict[str, Callable[[], Any]] = {"ours": partial(ours, alone, pairs)}
        if name == "winograd":
            ways["shared"] = partial(ours, alone, pairs, shared=True)
        for batch, model in models.items():
            ways[f"lm_eval_{batch}"] = partial(theirs, model, pairs)
        seconds = in_turns(ways, given.rounds)
        found[f"{name}_cpu_s"] = seconds  # type: ignore[assignment]
        best = min(value for way, value in seconds.items() if way.startswith("lm_eval"))
        found[f"{name}_times_lm_eval"] = best / seconds.get("shared", seconds["ours"])
    times = found["winograd_cpu_s"]
    found["winograd_gain"] = times["ours"] / times["shared"]  # type: ignore[index]
    found["winograd_bounds"] = sharing_bounds(alone, schemas)  # type: ignore[assignment]
    print(json.dumps(found, indent=1))  # noqa: T201 (the result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
