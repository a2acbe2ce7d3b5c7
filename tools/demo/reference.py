"""Documentation of libraries that do not exist, with code, and questions about them."""

from dataclasses import dataclass

from tools.demo.grammar import Block, Writer, below, choose, rules, sample

# Names that the phrases use and that are chosen here, so that they fit each other.
CHOSEN = ("lib@", "mod@", "about@", "noun@", "Noun@", "mod2@", "about2@", "fn@", "fn@2", "arg@")


@dataclass(frozen=True)
class _Argument:
    name: str
    type: str
    default: str  # "" where it must be given
    meaning: str

    @property
    def shown(self) -> str:
        return f"{self.name}={self.default}" if self.default else self.name


def reference(writer: Writer) -> tuple[str, list[Block]]:
    """The page of one module: title and blocks."""
    _choose_subject(writer)
    rng = writer.rng
    title = writer.expand("{lib@}.{mod@}: {about@}")
    notes = writer.several("reference.note", 7)
    blocks: list[Block] = [("p", writer.write("reference.open")), ("p", " ".join(notes[:2]))]
    listed = rng.random() < 0.5
    seen: dict[str, _Argument] = {}
    for line in sample(rng, rules()["reference.verb"], 3 + below(rng, 3)):
        verb, purpose = line.split(" | ")
        arguments = _arguments(writer)
        seen |= {argument.name: argument for argument in arguments if argument.name not in seen}
        blocks += _function(writer, f"{verb}_{writer.bound['noun@']}", purpose, arguments)
        if listed:
            blocks += [("li", f"{a.name} ({a.type}): {a.meaning}") for a in arguments]
        if rng.random() < 0.65:
            code = "reference.python" if rng.random() < 0.7 else "reference.other"
            blocks += [("p", writer.write("reference.example")), ("pre", _code(writer, code))]
    if not listed:
        rows = [("argument", "type", "default", "meaning")]
        rows += [(a.name, a.type, a.default or "none", a.meaning) for a in seen.values()]
        blocks += [("h2", "Arguments"), ("table", "\n".join("\t".join(row) for row in rows))]
    blocks += [("h2", "Notes"), ("p", " ".join(notes[2:])), ("p", writer.write("reference.close"))]
    return title, blocks


def project(writer: Writer) -> tuple[str, list[Block]]:
    """The notes of a release: title and blocks."""
    _choose_subject(writer)
    rng = writer.rng
    title = writer.write("project.title")
    blocks: list[Block] = [("p", writer.write("project.open"))]
    for heading, rule in (("Added", "added"), ("Changed", "changed"), ("Fixed", "fixed")):
        items = writer.several(f"project.{rule}", 3 + below(rng, 4))
        blocks += [("h2", heading), *(("li", item) for item in items)]
    upgrade = " ".join(writer.several("project.upgrade", 2))
    blocks += [("h2", "How to upgrade"), ("p", upgrade)]
    blocks.append(("pre", _code(writer, choose(rng, ("reference.other", "reference.python")))))
    return title, [*blocks, ("p", " ".join(writer.several("project.thanks", 2)))]


def question(writer: Writer) -> tuple[str, list[Block]]:
    """A thread about a program: title and blocks."""
    _choose_subject(writer)
    rng = writer.rng
    title = writer.write("question.title")
    asker = writer.expand("{nick}")
    tried = " ".join(writer.several("question.tried", 2 + below(rng, 3)))
    blocks: list[Block] = [("post", asker), ("p", writer.write("question.open"))]
    blocks += [("p", writer.write("question.here")), ("pre", _code(writer, "reference.python"))]
    blocks.append(("p", tried))
    remarks = writer.several("question.remark", 6)
    for answer in writer.several("question.answer", 3 + below(rng, 3)):
        blocks += [("post", writer.expand("{nick}")), ("p", answer)]
        if rng.random() < 0.4:
            more = writer.write("question.more")
            blocks += [("p", more), ("pre", _code(writer, "reference.python"))]
        if rng.random() < 0.7:
            blocks += [("post", writer.expand("{nick}")), ("p", remarks.pop())]
    return title, [*blocks, ("post", asker), ("p", writer.write("question.thanks"))]


def _choose_subject(writer: Writer) -> None:
    """Bind a library, a module of it and what they handle; another module for comparison."""
    rng = writer.rng
    first, second = sample(rng, rules()["reference.topic"], 2)
    bound = writer.bound
    bound["lib@"] = choose(rng, rules()["reference.library"])
    bound["mod@"], bound["about@"], bound["noun@"] = first.split(" | ")
    bound["mod2@"], bound["about2@"], _ = second.split(" | ")
    bound["Noun@"] = bound["noun@"].title()
    bound["arg@"] = choose(rng, rules()["arg"])
    one, other = sample(rng, rules()["verbword"], 2)
    bound["fn@"], bound["fn@2"] = f"{one}_{bound['noun@']}s", f"{other}_{bound['noun@']}"


def _function(writer: Writer, name: str, purpose: str, arguments: list[_Argument]) -> list[Block]:
    writer.bound["fn@"] = name
    signature = f"{name}({', '.join(argument.shown for argument in arguments)})"
    return [("h2", signature), ("p", writer.expand(purpose))]


def _arguments(writer: Writer) -> list[_Argument]:
    """Two to four; those that must be given come first."""
    drawn = []
    for line in sample(writer.rng, rules()["reference.argument"], 2 + below(writer.rng, 3)):
        name, kind, default, meaning = map(writer.expand, line.split(" | "))
        drawn.append(_Argument(name, kind, "" if default == "-" else default, meaning))
    return sorted(drawn, key=lambda argument: bool(argument.default))


def _code(writer: Writer, rule: str) -> str:
    return writer.expand(choose(writer.rng, rules()[rule]))
