import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import children_of, is_alive

from pipeline.settings import Settings
from pipeline.settings_file import load
from tools.cli import COMMANDS, GROUPS, NAMES, PANELS, command_of, main
from tools.flow import STAGES
from tools.inputs import find_inputs

ALL = [tuple(name.split()) for name in NAMES]
HEAVY = ("apache_beam", "torch", "pyarrow", "numpy", "trafilatura", "tokenizers", "rich.progress")
REPO = Path(__file__).resolve().parents[2]


PRINT_HELPS = f"""
import sys
from tools.cli import main
for words in {[[], *map(list, ALL)]!r}:
    print("##", *words)
    try:
        main([*words, "--help"])
    except SystemExit as end:  # the trainer's own
        assert not end.code
print("##imported", *(set({HEAVY!r}) & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def helps():
    """What each command's help prints, by its words, and which heavy modules that imported."""
    printed = subprocess.run(
        [sys.executable, "-c", PRINT_HELPS], capture_output=True, text=True, check=True
    ).stdout
    pages = [page.partition("\n") for page in printed.split("##")[1:]]
    return {tuple(words.split()): text for words, _, text in pages}


def test_help_imports_nothing_heavy(helps):
    assert ("imported",) in helps


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_each_command_has_help_with_an_example_and_its_parameters(helps, words):
    text = helps[words]
    assert "Example: " in text
    if words == ("report",) or words == ("init",):
        assert f"webtext {words[0]}" in text
    else:
        assert "--out" in text or "--json" in text


@pytest.mark.parametrize("name", ["demo", "build"])
def test_help_names_every_stage_that_a_build_may_end_with(helps, name):
    assert ", ".join(STAGES) in " ".join(helps[(name,)].replace("│", " ").split())


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_an_example_is_a_command_line_that_is_understood(words):
    function = command_of(" ".join(words))
    example = re.search(r"Example: (webtext .+)", function.__doc__)[1]
    assert example.split()[1 : 1 + len(words)] == list(words)


def test_the_listed_commands_are_those_that_exist_each_with_its_sentence(helps):
    listed = re.findall(r"^│ (\w+) {2,}(\S.*?) *│$", helps[()], re.MULTILINE)
    assert [name for name, _ in listed] == [name for names in PANELS.values() for name in names]
    assert {name for name, _ in listed} == {*COMMANDS, *GROUPS}
    for name in COMMANDS:
        first = command_of(name).__doc__.splitlines()[0]
        assert first.startswith(dict(listed)[name]), name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bild"], 'Unknown command "bild". Did you mean "build"?'),
        (["help"], 'Unknown command "help"; `webtext --help` tells what there is'),
        (["status", "x", "--jsn"], "Did you mean --json?"),
        (["status"], "webtext: FOLDER is missing; `webtext status --help` tells what there is"),
        (["look", "x", "y"], "unexpected argument: y; `webtext look --help` tells"),
        (["look", "x", "--rows", "few"], "int; `webtext look --help` tells what there is"),
        (["tokens", "exprt"], 'Did you mean "export"?'),
        (["train", "data", "--steeps", "3"], "unknown option --steeps; did you mean --steps?"),
        (["report", "nowhere"], "nowhere: no such build folder"),
        (["why", "http://x.y/", "--build", "nowhere"], "run webtext build first"),
        (["clean", "nowhere"], "nowhere is not a build folder"),
        (["dedup", "d", "--out", "o", "--threshold", "1"], "Did you mean --near-threshold?"),
        (["shards", "--datset", "d", "--tokenizer", "t", "--out", "o"], "Did you mean --dataset?"),
        (["tokenizer", "train", "d", "--vocab", "9"], "Did you mean --vocab-size?"),
        (["dedup", "nowhere", "--out", "o"], "nowhere: there is no such file or folder"),
        (["extract", "nowhere", "--out", "o.jsonl"], "nowhere: there is no such file"),
        (["shards", "nowhere", "--out", "o", "--tokenizer", "t"], "t: no such file"),
        (["tokens", "export", "nowhere", "--out", "o"], "no such file"),
        (["evaluate", "nowhere"], "nowhere: there is no such folder"),
        (["links", "dump.zst"], "webtext: --out is missing; `webtext links --help` tells"),
        (
            ["links", "dump.zst", "--otu", "o"],
            "Unknown option: --otu. Did you mean --out?",
        ),
        (["status", ".", "--links.karma-min", "3"], "Unknown option: --links.karma-min"),
        (["build", "--links.karma-min"], "--links.karma-min: its value is missing"),
        (["build", "--karma-min", "3"], "Did you mean --links.karma-min?"),
        (["build", "--texts.ids", "place"], "Unknown option: --texts.ids"),
        (["build", "--to", "shard"], "known: links, pages"),
        (["build", "--redo", "shard"], "--redo shard: no such stage"),
        (["build", "--replay", "shard"], "--replay shard: no such stage"),
        (["links", "d", "--out", "o", "--karma-mni", "5"], "Did you mean --karma-min?"),
        (["links", "d", "--out", "o", "--links.karma-min", "5"], "Did you mean --karma-min?"),
        (["links", "d", "--out", "o", "--karma-min", "few"], "--karma-min is 'few'; it must be a"),
        (["links", "d", "--out", "o", "--karma-min=-3"], "--karma-min is -3; it must be 0 or more"),
        (["links", "d", "--out", "o", "--hops-max", "3"], "Unknown option: --hops-max"),
        (["links", "d", "--out", "o", "--profile", "clean"], "Unknown option: --profile"),
        (["dedup", "d", "--out", "o", "--profile", "claen"], "one of paper, clean"),
        (["extract", "d", "--out", "o", "--buckets", "3"], "Unknown option: --buckets"),
        (["links", "--out", "o"], "name at least one file"),
        (["build", "nowhere.toml"], "`webtext init` writes one"),
        (["plan", "nowhere.toml"], "`webtext init` writes one"),
        (["build", "--train.preset", "gtp2"], "preset"),
        (["build", "--train.layers", "3"], "Did you mean --train.n-layer?"),
        (["build", "--train.out", "here"], "Unknown option: --train.out"),
        (["demo", "--input.dumps", "x"], "Unknown option: --input.dumps"),
        (["demo", "--fast", "--train.steps", "3"], "--train.steps does nothing with --fast"),
        (["build", "--train.fsdp", "true"], "Unknown option: --train.fsdp"),
    ],
)
def test_usage_and_settings_errors_end_with_2_and_say_what_is_known(
    tmp_path, monkeypatch, capsys, words, said
):
    monkeypatch.chdir(tmp_path)
    if words[0] == "build" and "nowhere.toml" not in words:
        (tmp_path / "webtext.toml").write_text('[input]\ndumps = ["x"]\nwarcs = ["y"]\n')
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in " ".join(captured.err.replace("│", " ").split())
    assert "Traceback" not in captured.err
    assert not (tmp_path / "build").exists()
    assert not (tmp_path / "o").exists()


def test_an_error_of_ours_is_told_without_a_traceback_and_gives_its_exit_code(tmp_path, capsys):
    assert main(["links", str(tmp_path / "no.zst"), "--out", str(tmp_path / "o")]) == 2
    told = capsys.readouterr().err
    assert told == f"webtext: {tmp_path}/no.zst: there is no such file. Check the name.\n"


def test_an_error_of_the_system_is_told_without_a_traceback(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    page = tmp_path / "page.html"
    page.write_text("<p>text")
    assert main(["extract", str(page), "--out", str(tmp_path / "file" / "o.jsonl")]) == 1
    told = capsys.readouterr().err
    assert told.startswith("webtext: ")
    assert "Traceback" not in told


def test_the_trainer_has_a_profile_of_its_own(capsys):
    assert main(["train", "--profile", "-1"]) == 2
    assert "--profile is -1; it must be 0 or more" in capsys.readouterr().err


def test_a_file_that_two_patterns_name_counts_once(tmp_path):
    for name in ("a.zst", "b.zst"):
        (tmp_path / name).write_text("")
    found = find_inputs(["b.zst", "*.zst"], tmp_path, "input.dumps")
    assert found == [tmp_path / "b.zst", tmp_path / "a.zst"]


def test_init_writes_a_file_that_gives_the_defaults_and_overwrites_none(tmp_path, capsys):
    path = tmp_path / "webtext.toml"
    assert main(["init", str(path)]) == 0
    assert load(path) == Settings()
    assert capsys.readouterr().out.strip() == str(path)
    before = path.read_text()
    assert main(["init", str(path)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert path.read_text() == before


def test_init_on_a_full_disk_leaves_no_half_a_file(tmp_path):
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); "
        "from tools.cli import main; sys.exit(main(['init', sys.argv[1]]))"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "webtext.toml")]
    assert subprocess.run(words, cwd=REPO, check=False).returncode == 1
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_with_the_mend():
    words = [sys.executable, "-m", "tools.cli", "--version"]
    with Path("/dev/full").open("wb") as full:
        told = subprocess.run(words, cwd=REPO, check=False, stdout=full, stderr=subprocess.PIPE)
    assert told.returncode == 1
    assert told.stderr.endswith(b"; free some space on that disk and run the same command again\n")


@pytest.mark.parametrize("words", [["tokens", "export"], ["tokenizer", "export"], ["fetch"]])
def test_a_folder_to_write_that_is_a_file_is_refused(tmp_path, capsys, words):
    (tmp_path / "file").write_text("mine")
    assert main([*words, str(tmp_path / "none"), "--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == f"webtext: --out {tmp_path}/file is a file; give a folder\n"


def test_init_tells_the_trainers_settings_and_their_values_without_torch(tmp_path):
    path = tmp_path / "webtext.toml"
    program = (
        "import sys; sys.modules['torch'] = None; from tools.cli import main; main(sys.argv[1:])"
    )
    subprocess.run([sys.executable, "-c", program, "init", str(path)], check=True, cwd=REPO)
    _, found, trainer = path.read_text().partition("[train]\n")
    assert found
    assert "# AdamW's beta1. Values: from 0 to below 1.\n# beta1 = 0.9\n" in trainer
    assert 'Values: one of cosine, linear.\n# schedule = "cosine"\n' in trainer
    assert "Values: 1 or more.\n# n_layer =\n" in trainer


def test_init_says_what_comes_next_and_refuses_a_folder_that_is_not_there(tmp_path, capsys):
    path = tmp_path / "webtext.toml"
    assert main(["init", str(path)]) == 0
    assert f"then: webtext plan {path}" in capsys.readouterr().err
    assert main(["init", str(tmp_path / "absent" / "webtext.toml")]) == 2
    told = capsys.readouterr().err
    assert told == f"webtext: {tmp_path}/absent: there is no such folder. Make it first.\n"


def test_another_distributions_pipeline_is_refused(tmp_path):
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("")
    program = (
        "import sys; import tools.cli; sys.path.insert(0, sys.argv[1])\n"
        "sys.modules.pop('pipeline')\n"
        "sys.exit(tools.cli.main(['status', '.']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert f"the package 'pipeline' is found in {tmp_path}, not beside webtext" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_error_is_shown_when_the_reader_of_our_output_goes_away(tmp_path):
    webtext = subprocess.Popen(
        [sys.executable, "-m", "tools.cli", "init", f"{tmp_path}/webtext.toml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPO,
    )
    webtext.stdout.close()
    assert webtext.wait(60) == 0
    assert webtext.stderr.read() == b""
    webtext.stderr.close()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_stage_command_leaves_with_the_code_of_the_signal_and_without_workers(
    tmp_path, signum, code
):
    pages = tmp_path / "pages.jsonl"
    page = "<html><body><p>" + "A sentence that says a little. " * 400 + "</p></body></html>"
    pages.write_text((json.dumps({"html": page}) + "\n") * 5000)
    words = ["extract", str(pages), "--out", f"{tmp_path}/o.jsonl", "--workers", "1"]
    webtext = subprocess.Popen(
        [sys.executable, "-m", "tools.cli", *words],
        cwd=REPO,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        # A background job of a script gets it so; Python then raises no KeyboardInterrupt.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    deadline = time.monotonic() + 100
    at_work = ".o.jsonl.work/runs/*/heartbeats/*.json"
    while not any(tmp_path.glob(at_work)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    children = children_of(webtext.pid)
    children += [worker for server in children for worker in children_of(server)]
    assert children
    webtext.send_signal(signum)
    _, told = webtext.communicate(timeout=60)
    assert webtext.returncode == code
    assert "Traceback" not in told
    assert "stopped by" in told
    assert {path.name for path in tmp_path.iterdir()} == {"pages.jsonl", ".o.jsonl.work"}
    deadline = time.monotonic() + 20
    while (left := [*filter(is_alive, children)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [Path(f"/proc/{pid}/cmdline").read_text() for pid in left]
