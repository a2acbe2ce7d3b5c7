"""Real text by the gigabyte, from Debian's documentation packages (bookworm), as JSON lines.

    python -m tools.benchmarks.debian_text FILE.jsonl --bytes 200000000

Packages are downloaded by apt (600 MB for all of them) and read without installing them. A page is
a document: its tags are removed, its text is kept as it is. The first packages are prose, manuals
in 30 languages and code; the rest is documentation of programming interfaces, which repeats itself
more than the web does. The same packages give the same file, and a smaller one is its beginning.
"""

import argparse
import gzip
import html
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

PROSE = (
    "debian-handbook gnome-user-docs postgresql-doc-15 apache2-doc perl-doc ruby3.1-doc "
    "debian-reference-ja debian-reference-de debian-reference-zh-cn debian-reference-fr "
    "libreoffice-help-en-us libreoffice-help-de libreoffice-help-fr libreoffice-help-ru "
    "libreoffice-help-ja libreoffice-help-zh-cn libreoffice-help-hi libreoffice-help-el "
    "libreoffice-help-ko libreoffice-help-tr python3.11-doc linux-doc-6.1 sagemath-doc"
)
INTERFACES = (
    "rust-doc openjdk-17-doc scala-doc erlang-doc racket-doc ghc-doc python-pandas-doc "
    "singular-doc petsc3.18-doc libfastutil-java-doc libgecode-doc libpcl-doc gnuradio-doc "
    "casacore-doc libarm-compute-doc cppreference-doc-en-html twisted-doc wx3.2-doc opencv-doc "
    "trilinos-doc vtk9-doc"
)
MORE_LANGUAGES = [
    f"libreoffice-help-{language}"
    for language in "es it pl nl cs hu vi zh-tw pt-br ca dz km et fi sv da sl eu gl id".split()
]
MORE = "libghc-gi-gtk-doc groovy-doc derby-doc libjogl2-java-doc libbiojava-java-doc efl-doc"
PACKAGES = [*f"{PROSE} {INTERFACES}".split(), *MORE_LANGUAGES, *MORE.split()]
MARKUP = (".html", ".htm", ".xhtml", ".page")
PLAIN = (".txt", ".rst", ".md")
CHARS_MIN = 200
UNSEEN = re.compile(r"<!--.*?-->|<(script|style|head)\b.*?</\1>", re.DOTALL | re.IGNORECASE)
TAG = re.compile(r"<[^<>]*>")
EMPTY_LINES = re.compile(r"[ \t]*\n\s*\n")


def write(target: Path, bytes_max: int, cache: Path) -> int:
    """Documents to `target` until so many bytes of text (UTF-8) are written: how many there are."""
    cache.mkdir(parents=True, exist_ok=True)
    written = 0
    with target.open("w", encoding="utf-8") as file:
        for package in PACKAGES:
            for name, text in documents(download(package, cache)):
                if written >= bytes_max:
                    return written
                written += len(text.encode())
                row = {"id": f"{package}/{name}", "text": text}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            print(f"{written / 1e6:,.0f} MB to {package}", flush=True)
    return written


def download(package: str, cache: Path) -> Path:
    """The package's file, by apt unless it is in `cache`."""
    if not (found := sorted(cache.glob(f"{package}_*.deb"))):
        subprocess.run(["apt-get", "-q", "download", package], cwd=cache, check=True)
        found = sorted(cache.glob(f"{package}_*.deb"))
    return found[0]


def documents(package: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each page of a package, in the package's order."""
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as unpacked,
        tarfile.open(fileobj=unpacked.stdout, mode="r|") as files,
    ):
        for entry in files:
            name = entry.name.removesuffix(".gz")
            wanted = entry.isfile() and name.endswith((*MARKUP, *PLAIN))
            opened = files.extractfile(entry) if wanted else None
            if opened is None:
                continue
            content = opened.read()
            if entry.name.endswith(".gz"):
                content = gzip.GzipFile(fileobj=io.BytesIO(content)).read()
            text = content.decode(errors="replace")
            text = text_of_markup(text) if name.endswith(MARKUP) else text
            if len(text) >= CHARS_MIN:
                yield name, text


def text_of_markup(page: str) -> str:
    """The page without its tags; good enough to count words, no extractor."""
    text = html.unescape(TAG.sub("", UNSEEN.sub("", page)))
    return EMPTY_LINES.sub("\n\n", text).strip()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("target", type=Path)
    parser.add_argument("--bytes", type=int, default=2_000_000_000)
    parser.add_argument("--cache", type=Path, default=Path("debian-packages"))
    given = parser.parse_args()
    print(f"{write(given.target, given.bytes, given.cache):,} bytes of text")


if __name__ == "__main__":
    main()
