"""Settings for people: the file that `webtext init` writes, and docs/settings.md.

python -m tools.reference > docs/settings.md
"""

from pipeline.languages import LANGUAGES
from pipeline.settings import SECTIONS, Described, Settings, described
from pipeline.settings_file import NOT_IN_A_BUILD, comment, to_toml, toml_value
from tools.options import SETTINGS_OF, TRAIN, default_size, settings_of, trainers

HEAD = """\
# Settings

<!-- Made by `python -m tools.reference > docs/settings.md`; do not edit. -->

`webtext init` writes a settings file with all of them but `[texts]`, which only commands on texts
of your own have.
`webtext build`, `plan` and `demo` take each as an option too, which wins over the file:
`--links.karma-min 5`; `demo` makes its own `[input]`.
The command of a stage takes the settings of that stage by their short names:
`webtext links --karma-min 5`.
A setting is refused where it would do nothing.

`profile` names a set of defaults: `paper` is what is known of WebText, `clean` what is done today.
It differs by limits on the quality of texts (`corpus.quality`), by `corpus.boilerplate` and
`corpus.pii`, which are true, and by the rule of near copies:
`corpus.near_order` length, `near_measure` coverage, `near_threshold` 0.88.

`corpus.quality` is a list of limits on the numbers of a text, which docs/files.md lists:
`"word_chars <= 10"`, or `"function_words >= 0.18 or punctuated_lines >= 0.06"` where one is enough.
The first limit that a text breaks drops it: as `repetitive` for shares of what stands in it again,
as `odd_words` for words and signs, else as `little_prose`.
Code (`code_lines` of 0.15 and more) is excepted from all, recipes (`measure_lines` of 0.1) from
`little_prose`, verse (`verse_lines` of 0.5) from `little_prose` and `repetitive`.

The column "WebText" tells what the makers of WebText did, with the section of the GPT-2 paper.
"""


def settings_file() -> str:
    """A settings file with every setting, its default, and what it does."""
    lines = ["", f"# {TRAIN}", "[train]"]
    for each in trainers():
        unset = each.default is None or each.default == ""
        value = "" if unset else f" {toml_value(each.default)}"
        lines += ["", *comment(each), f"# {each.key.removeprefix('train.')} ={value}"]
    return to_toml(explained=True) + "\n".join(lines) + "\n"


def settings_page() -> str:
    """docs/settings.md."""
    lines = [HEAD]
    for section in SECTIONS:
        lines += [f"## [{section}]", "", type(getattr(Settings(), section)).__doc__ or "", ""]
        lines += _table(described(section), full=section not in NOT_IN_A_BUILD)
    lines += [
        "## [train]",
        "",
        f"{TRAIN} `python -m train --help` tells which may change when a run is resumed.",
        "",
    ]
    lines += ["| setting | default | what it does | values |", "|---|---|---|---|"]
    for each in trainers():
        cells = (f"`{each.key}`", _default(each), each.text, each.values)
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    lines += ["", "## Languages", "", "Codes that `documents.languages` takes:", ""]
    lines.append(", ".join(f"`{code}` {name}" for code, name in sorted(LANGUAGES.items())))
    return "\n".join(lines) + "\n"


def _table(about: list[Described], *, full: bool) -> list[str]:
    lines = ["| setting | default | what it does | values | WebText | also an option of |"]
    lines.append("|---|---|---|---|---|---|")
    for each in about:
        commands = [name for name in SETTINGS_OF if each in settings_of(name)]
        name = f"`{each.key}`" if full else f"`{each.key}` (not of a build)"
        cells = (name, _default(each), each.text, each.values, each.paper, ", ".join(commands))
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return [*lines, ""]


def _default(about: Described) -> str:
    if about.default is None or about.default in ("", ()):
        return ""
    size = default_size(about)
    return f"`{toml_value(about.default)}`{f' ({size})' if size else ''}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(settings_page(), end="")
