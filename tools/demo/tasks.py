"""The demo's zero-shot tasks: small files of our own in the formats of the original ones.

Passages as LAMBADA's, articles as WikiText's, twin sentences as Winograd's. Some passages are taken
from a page of the web, so that `webtext overlap` has something to find; no page has the others.
"""

import json
import random
from pathlib import Path

from tools.demo.grammar import Writer
from tools.demo.stories import article
from tools.demo.web import SITES
from train.evaluate.detokenize import WIKITEXT

FOLDER = "tasks"
PASSAGES, PASSAGES_OF_PAGES, ARTICLES = 24, 6, 2
MASK = "[MASK]"
# A sentence with the place of the word that decides, its candidates, and for each the word.
TWINS = (
    ("The wardrobe would not go through the door because {mask} was too {word}.",
     ("The wardrobe", "the door"), ("wide", "narrow")),
    ("The rope could not hold the barrel, since {mask} was too {word}.",
     ("The rope", "the barrel"), ("thin", "full")),
    ("Agnes lent Judith an umbrella because {mask} {word}.",
     ("Agnes", "Judith"), ("had two of them", "had left hers on the train")),
    ("The gardener waved to the postman, but {mask} was too {word}.",
     ("The gardener", "the postman"), ("far off to be seen", "busy to look up")),
    ("Martin asked Philip for the key, and {mask} {word}.",
     ("Martin", "Philip"), ("was glad to get it", "did not want to part with it")),
    ("The cart was faster than the mule, so we {word} {mask} first.",
     ("The cart", "the mule"), ("saw the arrival of", "sent off")),
    ("The soup stood beside the lamp, and when {mask} was {word}, the room went quiet.",
     ("The soup", "the lamp"), ("eaten", "put out")),
    ("Clara beat Edith at chess, although {mask} had {word}.",
     ("Clara", "Edith"), ("learnt it only last week", "played it for twenty years")),
)  # fmt: skip


def write_tasks(folder: Path) -> list[Path]:
    """Write the tasks' files into the folder, which is made; the same bytes on every machine."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "lambada_test.jsonl": "".join(
            json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in passages()
        ),
        "wikitext2.test.tokens": "".join(map(survey, range(ARTICLES))),
        "wsc273.txt": "\n\n".join(schemas()) + "\n",
    }
    for name, text in content.items():
        (folder / name).write_bytes(text.encode())
    return [folder / name for name in content]


def passages() -> list[str]:
    """Passages without their last full stop; the first ones stand on pages of the web."""
    return [_of_page(number) for number in range(PASSAGES_OF_PAGES)] + [
        _passage(number) for number in range(PASSAGES - PASSAGES_OF_PAGES)
    ]


def _of_page(number: int) -> str:
    site = next(site for site in SITES if site.genre == "fiction")
    paragraphs = [text for _, text in article(site.genre, f"{site.origin}/0").blocks]
    return paragraphs[number % len(paragraphs)].rstrip('."?!')


def _passage(number: int) -> str:
    writer = Writer(random.Random(f"passage {number}"))
    start, middle = writer.write("passage.start"), writer.several("passage.middle", 2)
    return " ".join([start, *middle, writer.write("passage.end")])


def survey(number: int) -> str:
    """An article in WikiText's tokenization, each line in spaces, its titles between = signs."""
    writer = Writer(random.Random(f"survey {number}"))
    title = writer.write("survey.title")
    lines = ["", f"= {title} =", ""]
    sentences = writer.several("survey.text", 8)
    for heading, at in zip(writer.several("survey.section", 2), (0, 4), strict=True):
        lines += [f"= = {heading} = =", "", " ".join(sentences[at : at + 4]), ""]
    return "".join(f"{WIKITEXT.split(line)}\n" for line in lines)


def schemas() -> list[str]:
    """Two schemas of four lines for each twin sentence: each candidate is right once."""
    return [
        "\n".join([sentence.format(mask=MASK, word=word), MASK, ",".join(candidates), answer])
        for sentence, candidates, words in TWINS
        for answer, word in zip(candidates, words, strict=True)
    ]
