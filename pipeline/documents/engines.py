"""The libraries that find a page's main text, each as a function from markup to text, "" for none.

What trafilatura raises travels up. The two others are second opinions (combined.py), and extractors
for comparison. Each is imported where it is asked first.
"""

import logging
import re
from array import array
from bisect import bisect_left
from collections.abc import Container, Iterable
from functools import cache
from importlib import import_module, resources
from itertools import chain
from typing import Any

import numpy as np
from lxml.etree import XPath
from xxhash import xxh3_64_intdigest

from pipeline.documents.markup import prepare
from pipeline.documents.neighbours import revise_paragraphs
from pipeline.documents.render import render
from pipeline.documents.tree import parse

_BANNERS = re.compile(
    r"(.*\|\.//\*)\[re:test\(@class, ('[^' ^$]*'), 'i'\) or re:test\(@id, \2, 'i'\)\]", re.DOTALL
)


def with_one_look(cleaning: XPath) -> XPath:
    """The same elements, found by one look at those with a class or an id: 3 % of an extraction.

    Another form than that of trafilatura 2.3, two looks at every element, is given back as it is.
    """
    found = _BANNERS.fullmatch(cleaning.path)
    if found is None:
        return cleaning
    path = f"{found[1]}[@class or @id][re:test(concat(@class, ' ', @id), {found[2]}, 'i')]"
    return XPath(path, namespaces={"re": "http://exslt.org/regular-expressions"})


@cache
def load_trafilatura() -> Any:
    """The library, imported where it is asked first: a fifth of the time of a page by hand."""
    import trafilatura
    import trafilatura.external

    # It warns of every page that holds no text, and we count those.
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    justext: Any = import_module("justext.core")  # the package has a function of that name
    trafilatura.external.jt_stoplist_init = load_stop_words
    trafilatura.external.JT_STOPLIST = None  # its own tuple, if it was used before
    justext.define_stoplist = _as_they_are
    # justext's own takes the square of the short paragraphs: 17 s for 20,000 cells of one letter.
    trafilatura.external.revise_paragraph_classification = revise_paragraphs
    baseline: Any = import_module("trafilatura.baseline")  # the package has a function of that name
    baseline.BASIC_CLEAN_XPATH = with_one_look(baseline.BASIC_CLEAN_XPATH)
    return trafilatura


class StopWords:
    """justext's words of all languages as sorted numbers: 1.2 MB, where sets of them take 17 or 33.

    trafilatura hands them over as a tuple, of which justext makes a second set, and finds it again
    for each page by the hashes of 150,000 words. A wrong word is taken for one of them in 10^14.
    """

    def __init__(self, words: Iterable[bytes]) -> None:
        numbers = np.sort(np.fromiter(map(xxh3_64_intdigest, words), np.uint64))
        is_new = np.diff(numbers, prepend=np.uint64(0)) > 0  # np.unique takes five times as long
        self._numbers = array("Q", numbers[is_new].tobytes())

    def __contains__(self, word: str) -> bool:
        number = xxh3_64_intdigest(word.encode("utf-8", "surrogatepass"))
        place = bisect_left(self._numbers, number)
        return place < len(self._numbers) and self._numbers[place] == number


def load_stop_words() -> StopWords:
    """justext's words, in lower case as it has them, where trafilatura looks for them.

    Its own functions, which make a string of each word, take half a second.
    """
    from trafilatura import external

    lists = (resources.files("justext") / "stoplists").iterdir()
    texts = [file.read_text("utf-8").lower().encode() for file in lists if file.name[-4:] == ".txt"]
    words = StopWords(chain.from_iterable(map(bytes.splitlines, texts)))
    external.JT_STOPLIST = words
    return words


def _as_they_are(words: Container[str]) -> Container[str]:
    return words


def by_trafilatura(html: str) -> str:
    """trafilatura's text without readers' comments: page F1 0.894, against 0.876 with them.

    The page is made ready before (markup.py), and the tree that is found is written in our own way
    (render.py). No metadata: those come from the head (metadata.py); trafilatura's date search
    costs two thirds of an extraction and depends on the day it runs.
    """
    tree = parse(html)
    if tree is None:
        return ""
    prepare(tree, html)
    found = load_trafilatura().bare_extraction(tree, output_format="txt", include_comments=False)
    return render(found.body) if found else ""


def by_readability(html: str) -> str:
    """The text of what readability-lxml keeps, a line a block."""
    from readability import Document
    from resiliparse.extract.html2text import extract_plain_text

    if parse(html) is None:  # readability raises
        return ""
    kept = Document(html).summary(html_partial=True)
    return str(extract_plain_text(kept, main_content=False, alt_texts=False, list_bullets=False))


def by_resiliparse(html: str) -> str:
    """resiliparse's main text, a line a block."""
    from resiliparse.extract.html2text import extract_plain_text

    html = html.encode("utf-8", "ignore").decode()  # it raises for a lone surrogate
    return str(
        extract_plain_text(
            html, main_content=True, comments=False, alt_texts=False, list_bullets=False
        )
    )
