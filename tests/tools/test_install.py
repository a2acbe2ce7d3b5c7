import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools import install

ROOT = Path(__file__).resolve().parents[2]
PIP = """
import sys, time
print("Collecting torch", flush=True)
print("  Downloading torch-2.11.0-cp311-cp311-linux_x86_64.whl (899.7 MB)", flush=True)
print("  Downloading xxhash-4.1.0-cp311-cp311-linux_x86_64.whl (471 kB)", flush=True)
time.sleep(float(sys.argv[1]))
print("Installing collected packages: torch, xxhash", flush=True)
sys.exit(int(sys.argv[2]))
"""


def pip(sleep_s, code):
    return [sys.executable, "-c", PIP, str(sleep_s), str(code)]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("  Downloading torch-2.11.0-cp311-linux_x86_64.whl (899.7 MB)\n", "torch (899.7 MB)"),
        ("  Downloading torch-2.11.0%2Bcu128-cp311.whl.metadata (29 kB)\n", ""),
        ("  Using cached nvidia_cudnn-9.1-py3.whl (1.2 GB)\n", "nvidia_cudnn (1.2 GB)"),
        ("Downloading numpy-2.4.6-cp311.whl (16.9 MB)\n", ""),
        ("Collecting numpy>=2\n", ""),
        ("Requirement already satisfied: pip in ./x\n", ""),
        ("Installing collected packages: a, b, c\n", "unpacking 3 packages"),
        ("ERROR: No matching distribution found for torch\n",
         "ERROR: No matching distribution found for torch"),
        ("WARNING: Location 'file:///x' is ignored\n", ""),
    ],
)  # fmt: skip
def test_of_pip_only_large_downloads_the_unpacking_and_errors_are_told(line, told):
    assert install.worth_telling(line) == told


def test_its_steps_are_told_and_its_last_lines_are_kept(tmp_path, capsys):
    code, printed = install.run(pip(0, 3), tmp_path, quiet_s=60)
    assert code == 3
    assert printed[0] == "Collecting torch"
    assert len(printed) == 4
    assert capsys.readouterr().err == "  torch (899.7 MB)\n  unpacking 2 packages\n"


def test_a_long_silence_is_broken_by_what_lies_in_the_environment(tmp_path, capsys):
    (tmp_path / "large").write_bytes(bytes(3_000_000))
    code, _ = install.run(pip(1.5, 0), tmp_path, quiet_s=0.2)
    assert code == 0
    told = capsys.readouterr().err.splitlines()
    assert re.fullmatch(rf"  \d+ s, 3 MB in {tmp_path.name}", told[1])
    assert told[-1] == "  unpacking 2 packages"


def test_it_runs_without_any_package_and_hands_on_pips_failure(tmp_path):
    done = subprocess.run(
        [sys.executable, "-I", "-S", ROOT / "tools" / "install.py", "--no-such-option"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode != 0
    assert "pip ended with" in done.stderr
    assert done.stdout == ""
