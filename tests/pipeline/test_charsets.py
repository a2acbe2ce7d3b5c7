"""One charset for a file, whatever its rows hold; rows in another are drops."""

import json
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from sentences import SENTENCES

from pipeline.charsets import PIECE_BYTES, SAMPLE_BYTES, FileCharset, _pieces, _Sample, charset_of
from pipeline.errors import InputError
from pipeline.reasons import Drop, Reason
from pipeline.settings import TextsSettings
from pipeline.texts import Found, Odd, Row, fallen, read_texts, told

EVERY = [(language, codec) for language, (codecs, _) in SENTENCES.items() for codec in codecs]
RUSSIAN, GERMAN, CHINESE = (SENTENCES[name][1] for name in ("ru", "de", "zh"))


def rows_of(language: str, codec: str, count: int = 200) -> list[str]:
    """Texts of very different lengths, without the characters that the charset lacks."""
    chance = random.Random(1)
    sentences = SENTENCES[language][1]
    texts = [chance.choice(sentences)[: chance.choice([12, 30, 500])] for _ in range(count)]
    return [text.encode(codec, "ignore").decode(codec).strip() for text in texts]


def lines(texts: list[str], codec: str) -> bytes:
    rows = ({"id": number, "text": text} for number, text in enumerate(texts))
    return b"".join(json.dumps(row, ensure_ascii=False).encode(codec) + b"\n" for row in rows)


def read(path: Path, data: bytes) -> tuple[list[str | Drop], list[str]]:
    path.write_bytes(data)
    odd = Odd()
    rules = TextsSettings(ids="place")
    found: list[Found] = list(read_texts(path, path.name, rules, odd))
    return [each.row.text if isinstance(each.row, Row) else each.row for each in found], told(odd)


@pytest.mark.parametrize(("language", "codec"), EVERY)
def test_a_file_is_read_in_its_charset_whatever_its_rows_hold(
    language: str, codec: str, tmp_path: Path
) -> None:
    texts = rows_of(language, codec)
    found, said = read(tmp_path / "t.jsonl", lines(texts, codec))
    assert found == texts
    assert len(said) == 1
    assert "t.jsonl: not UTF-8; " in said[0]
    found, said = read(tmp_path / "t.txt", "<|endoftext|>".join(texts).encode(codec))
    assert found == [text for text in texts if text]
    found, _ = read(tmp_path / "t.txt", "\n".join(texts).encode(codec))
    assert found == ["\n".join(texts).strip("\n")]


@pytest.mark.parametrize(
    ("main", "other"),
    [
        ("koi8_r", "cp1251"),
        ("cp1251", "koi8_r"),
        ("cp1251", "cp866"),
        ("cp1251", "gbk"),
        ("gbk", "cp1251"),
        ("gbk", "cp1252"),
        ("utf-8", "cp1251"),
        ("cp1252", "cp1251"),
        ("cp1252", "mac_roman"),
        ("cp1252", "cp1250"),
    ],
)
def test_rows_in_another_charset_are_drops_and_a_gate(
    main: str, other: str, tmp_path: Path
) -> None:
    texts = {"gbk": CHINESE, "cp1252": GERMAN, "mac_roman": GERMAN}
    texts["cp1250"] = SENTENCES["cs"][1]
    ours, others = (texts.get(codec, RUSSIAN) * 10 for codec in (main, other))
    data = lines(ours * 6, main) + lines(others, other)
    found, _ = read(tmp_path / "t.jsonl", data)
    assert found[:240] == [*ours * 6]
    reasons = Counter(row.reason for row in found[240:] if isinstance(row, Drop))
    assert reasons == {Reason.OTHER_CHARSET: 40}
    assert "40 of them as other_charset" in fallen("t", 280, Counter(reasons), "")


def test_a_few_broken_lines_leave_a_file_what_it_is(tmp_path: Path) -> None:
    broken = ["Größe".encode() + b" don\x92t", b"caf\xe9", b"na\xefve"]
    data = lines(list(GERMAN) * 5, "utf-8")
    data += b"".join(b'{"text": "' + line + b'"}\n' for line in broken)
    found, said = read(tmp_path / "t.jsonl", data)
    assert found == [*GERMAN * 5, "Größe don’t", "café", "naïve"]
    assert said == ["t.jsonl: UTF-8 with wrong bytes; lone ones are read as windows-1252 (3)"]


def test_what_tells_too_little_is_called_a_guess(tmp_path: Path) -> None:
    found, said = read(tmp_path / "t.txt", b"caf\xe9")
    assert found == ["café"]
    assert said == [
        "t.txt: not UTF-8; little tells in what it is written, the guess is windows-1252 (1)"
    ]


def test_what_is_written_with_escapes_is_read(tmp_path: Path) -> None:
    texts, codec = list(SENTENCES["ja"][1]), "iso2022_jp"
    found, said = read(tmp_path / "t.jsonl", lines(texts, codec))
    assert found == texts
    assert said == ["t.jsonl: not UTF-8; read as iso-2022-jp (4)"]
    found, _ = read(tmp_path / "t.txt", "<|endoftext|>".join(texts).encode(codec))
    assert found == texts


def test_the_charset_is_told_by_all_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    ascii_first = b"Plain words come first.\n" * 100_000
    path.write_bytes(ascii_first + "\n".join(RUSSIAN * 9).encode("koi8_r"))
    assert charset_of(path) == FileCharset("koi8-r", is_sure=True)
    path.write_bytes("".join(CHINESE * 9000).encode("gbk"))  # one line
    assert charset_of(path) == FileCharset("gbk", is_sure=True)
    path.write_bytes("\n".join([*RUSSIAN, *GERMAN]).encode("utf-8") + b"\nA \xff b")
    assert charset_of(path).name == "utf-8"


def test_a_sample_is_spread_over_all_that_was_added() -> None:
    sample = _Sample()
    for number in range(20_000):
        sample.add(b"%06d" % number + b"\xe9" * 40)
    numbers = [int(piece[:6]) for piece in sample.bytes().split(b"\n")]
    assert len(sample.bytes()) <= SAMPLE_BYTES + PIECE_BYTES
    assert numbers[0] == 0
    assert numbers[-1] > 19_900
    assert len({after - before for before, after in pairwise(numbers)}) == 1


def test_pieces_begin_where_characters_do() -> None:
    line = ("字" * 3 + "a").encode("gbk") * 5000
    pieces = list(_pieces(line))
    assert b"".join(pieces) == line
    assert all(piece.decode("gbk") for piece in pieces)
    assert list(_pieces(b"plain" * 5000)) == []


def test_an_array_in_another_charset_is_refused_with_its_name(tmp_path: Path) -> None:
    data = json.dumps([{"text": text} for text in RUSSIAN], ensure_ascii=False)
    with pytest.raises(InputError, match="iconv -f KOI8-R -t UTF-8 FILE > NEW"):
        read(tmp_path / "t.json", data.encode("koi8_r"))
