import io

import pytest

from tools import progress


class Stderr(io.StringIO):
    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


@pytest.fixture
def told(monkeypatch):
    """What is written on stderr while an hour passes in steps of 10 seconds."""

    def tell(*, is_terminal):
        stderr = Stderr(is_terminal)
        seconds = iter(range(0, 3600, 10))
        monkeypatch.setattr("sys.stderr", stderr)
        monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(seconds)))
        with progress.Progress() as show:
            for number in range(7):
                show(f"{number} texts read")
        return stderr.getvalue()

    return tell


def test_without_a_terminal_a_line_is_written_every_30_seconds(told):
    assert told(is_terminal=False) == "2 texts read\n5 texts read\n"


def test_a_terminal_has_one_line_which_is_gone_at_the_end(told):
    lines = told(is_terminal=True).split(progress.ERASE)
    assert lines == ["", *(f"{number} texts read" for number in range(7)), ""]
