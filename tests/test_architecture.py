"""Which way imports go (STYLE.md): read from every file, so nothing creeps in."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = ("pipeline", "train", "tools")
FILES = sorted(path for top in OURS for path in (ROOT / top).rglob("*.py"))
CONTRACT = {
    "pipeline.records",
    "pipeline.reasons",
    "pipeline.settings",
    "pipeline.settings_file",
    "pipeline.errors",
    "pipeline.languages",
    "pipeline.limits",
    "pipeline.characters",
    "pipeline.lines",
    "pipeline.loose_json",
    "pipeline.inputs",
    "pipeline.bucket_file",
    "pipeline.s3",
    "pipeline.rows",
    "pipeline.formats",
}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: line {node.lineno}: imports are absolute"
            module = node.module or ""
            for alias in node.names:
                named = (ROOT / module.replace(".", "/") / alias.name).with_suffix("")
                is_module = named.with_suffix(".py").exists() or named.is_dir()
                yield f"{module}.{alias.name}" if is_module else module


def under(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def may_import(importer: str, path: Path, imported: str) -> bool:
    """What a module of ours may import."""
    if under(imported, "apache_beam"):
        return under(importer, "pipeline.engine")
    if under(imported, "torch"):
        return under(importer, "train")
    if under(imported, "train.benchmarks"):
        return under(importer, "train.benchmarks")
    if not under(imported, *OURS) or under(importer, "tools"):
        return True
    if under(importer, "train"):
        return under(imported, "train")
    if importer in CONTRACT or importer == "pipeline":
        return imported in CONTRACT
    if under(importer, "pipeline.engine"):
        return imported in CONTRACT or under(imported, "pipeline.engine")
    if under(imported, "pipeline.engine"):
        return path.name.endswith("stage.py")
    # A stage may use the rules of another, not its wiring: it reads its rows.
    same_stage = importer.split(".")[:2] == imported.split(".")[:2]
    return under(imported, "pipeline") and (same_stage or not imported.endswith("stage"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path):
    importer = module_of(path)
    wrong = [name for name in imports_of(path) if not may_import(importer, path, name)]
    assert wrong == [], f"{importer} may not import these"


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Each way of imports that comes back to where it began."""
    found: list[list[str]] = []
    state: dict[str, str] = {}

    def walk(module: str, way: list[str]) -> None:
        state[module] = "on the way"
        for other in sorted(graph[module] & graph.keys() - {module}):
            if state.get(other) == "on the way":
                found.append([*way[way.index(other) :], other])
            elif other not in state:
                walk(other, [*way, other])
        state[module] = "done"

    for module in sorted(graph):
        if module not in state:
            walk(module, [module])
    return found


def test_no_file_imports_one_that_imports_it():
    # Of types alone too, and late ones: who reads the house from below meets each file once.
    assert circles({module_of(path): set(imports_of(path)) for path in FILES}) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c", "a"]]


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("pipeline.links.select", "pipeline.engine.parts"),
        ("pipeline.links.select", "apache_beam"),
        ("pipeline.links.stage", "apache_beam.pvalue"),
        ("pipeline.settings", "pipeline.engine.stage"),
        ("pipeline.engine.parts", "pipeline.links.select"),
        ("pipeline.pages.stage", "pipeline.links.stage"),
        ("pipeline.tokens.encode", "train.data"),
        ("pipeline.tokens.encode", "tools.cli"),
        ("train.data", "pipeline.records"),
        ("train.loop", "train.benchmarks.measure"),
        ("tools.report", "train.benchmarks.benchmark"),
        ("tools.report", "torch.nn"),
    ],
)
def test_a_wrong_import_would_be_found(importer, imported):
    path = ROOT / (importer.replace(".", "/") + ".py")
    assert not may_import(importer, path, imported)


def test_files_are_found_and_imports_are_read(tmp_path):
    assert {module_of(path) for path in FILES} >= {"pipeline.engine.build", "train", "tools"}
    path = tmp_path / "module.py"
    path.write_text("def f():\n    from pipeline import engine, links\n    import torch.nn as n\n")
    assert list(imports_of(path)) == ["pipeline.engine", "pipeline.links", "torch.nn"]


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        (
            "pipeline.settings",
            ("apache_beam", "pyarrow", "torch", "numpy"),
        ),
        ("pipeline.engine.build", ("apache_beam", "torch")),
        ("pipeline.engine.pool", ("apache_beam", "pyarrow", "numpy")),
        ("train.settings", ("pipeline", "apache_beam", "pyarrow")),
    ],
)
def test_importing_a_module_loads_nothing_heavy(module, absent):
    code = f"import sys, {module}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    loaded = {name.split(".")[0] for name in run.stdout.split()}
    assert loaded.isdisjoint(absent)


def test_tests_are_no_package():
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_every_normal_form_is_made_where_long_runs_of_marks_are_broken():
    makers = [path for path in FILES if "unicodedata.normalize" in path.read_text("utf-8")]
    assert [path.relative_to(ROOT).as_posix() for path in makers] == ["pipeline/characters.py"]


# Needed by a library that we import, which does not ask for them itself everywhere.
OF_LIBRARIES = {"lxml-html-clean"}


def test_every_dependency_is_imported_by_the_product():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.split("[<>=]", each)[0] for each in project["dependencies"]}
    files = [path for path in FILES if "benchmarks" not in path.parts]
    imported = {module.partition(".")[0] for path in files for module in imports_of(path)}
    of_module = packages_distributions()
    names = {name for top in imported for name in (top, *of_module.get(top, ()))}
    assert wanted - {name.replace("_", "-").lower() for name in names} == OF_LIBRARIES


@pytest.mark.parametrize("path", sorted((ROOT / "pipeline").rglob("*.c")), ids=lambda one: one.name)
def test_a_wheel_built_by_a_new_python_serves_the_oldest(path):
    """Formats with "#" do not: the headers of Python 3.13 call what 3.11 refuses."""
    assert not re.search(r'"[^"\n]*[esuyz]#[^"\n]*"', path.read_text())
