"""Settings for people: the file that `webtext init` writes, and docs/settings.md.

python -m tools.reference > docs/settings.md
"""

from typing import Any

from pipeline.settings import SECTIONS, Described, Settings, described
from pipeline.settings_file import NOT_IN_A_BUILD, to_toml, toml_value
from tools.options import SETTINGS_OF, settings_of, trainers

HEAD = """\
# Settings

<!-- Made by `python -m tools.reference > docs/settings.md`; do not edit. -->

`webtext init` writes a file with all of them but `[texts]`, which is for commands on texts of
your own.
`webtext build`, `plan` and `demo` take each as an option too, which wins over the file:
`--links.karma-min 5`.
A command of its own takes those of its stage by their short names:
`webtext links --karma-min 5`.
A setting is refused where it would do nothing.

`profile` names a set of defaults: `paper` is what is known of WebText;
`clean` has `corpus.near_threshold` 0.7.
"""


def settings_file() -> str:
    """A settings file with every setting, its default, and what it does."""
    lines = [
        "",
        "# The trainer's; its preset, or device and size, decide what is not set.",
        "[train]",
    ]
    for each in trainers():
        unset = each.default is None or each.default == ""
        value = "" if unset else f" {toml_value(each.default)}"
        lines += ["", f"# {_sentence(each.text)}", f"# {each.key.removeprefix('train.')} ={value}"]
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
        "The trainer's; `python -m train --help` tells which may change when a run goes on.",
        "",
    ]
    lines += ["| setting | default | what it does |", "|---|---|---|"]
    for each in trainers():
        lines.append(f"| `{each.key}` | {_default(each.default)} | {_cell(_sentence(each.text))} |")
    return "\n".join(lines) + "\n"


def _table(about: list[Described], *, full: bool) -> list[str]:
    lines = ["| setting | default | what it does | values | WebText | also an option of |"]
    lines.append("|---|---|---|---|---|---|")
    for each in about:
        commands = [name for name in SETTINGS_OF if each in settings_of(name)]
        name = f"`{each.key}`" if full else f"`{each.key}` (not of a build)"
        told = (_sentence(each.text), each.values, each.paper, ", ".join(commands))
        cells = (name, _default(each.default), *told)
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return [*lines, ""]


def _default(value: Any) -> str:
    return "" if value is None or value in ("", ()) else f"`{toml_value(value)}`"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(settings_page(), end="")
