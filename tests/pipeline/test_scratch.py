import subprocess
import sys
from pathlib import Path

from pipeline.scratch import PREFIX, scratch_in

KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.scratch import scratch_in
with scratch_in(Path(sys.argv[1])) as folder:
    (folder / "much").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_run_left_goes_with_the_next_and_a_running_one_is_let_be(
    tmp_path: Path,
) -> None:
    with scratch_in(tmp_path) as running:
        subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
        assert len(list(tmp_path.iterdir())) == 2
        with scratch_in(tmp_path) as folder:
            assert {*tmp_path.iterdir()} == {running, folder}
    assert not any(tmp_path.iterdir())


def test_a_folder_without_a_lock_is_not_ours_to_remove(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}begun").mkdir()
    with scratch_in(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [f"{PREFIX}begun"]
