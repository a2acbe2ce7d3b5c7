"""How good the build's tokenizer is, on documents of the corpus."""

from heapq import nsmallest
from typing import Any

import xxhash

from pipeline.engine.reading import Published
from pipeline.languages import told_language
from pipeline.tokens.encode import Encoder
from pipeline.tokens.evaluate import Evaluation, as_dict
from pipeline.tokens.tokenizer_files import load
from tools.stores import published_file

DOCUMENTS = 400  # drawn by hash
DOCUMENT_CHARS = 10_000  # of each the beginning: half a second in all
LANGUAGES = 8  # shown


def tokenizer_facts(tokenizer: Published, corpus: Published) -> dict[str, Any]:
    """The figures of `webtext tokenizer eval` on a sample; nothing where the file is gone."""
    name = published_file(tokenizer.store, tokenizer.manifest, "tokenizer.json")
    if name is None:
        return {}
    made = load(tokenizer.store.local(name))
    found = Evaluation(made, Encoder(made).encode)
    ids = (id for table in corpus.tables(["id"]) for id in table["id"].to_pylist())
    chosen = nsmallest(DOCUMENTS, ids, lambda id: xxhash.xxh3_64_intdigest(f"eval {id}".encode()))
    for row in corpus.rows(chosen, ["text", "language"]).values():
        found.add(row["text"][:DOCUMENT_CHARS], row["language"] or "")
    figures = as_dict(found, "", whole=False)
    by_language = list(figures["by_language"].items())
    return figures | {
        "documents": len(chosen),
        "by_language": {told_language(code): sums for code, sums in by_language[:LANGUAGES]},
        "languages_in_all": len(by_language),
    }
