"""Fixtures that all tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import s3
from hypothesis import settings

# A busy machine is no failure.
settings.register_profile("webtext", deadline=None)
settings.load_profile("webtext")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; the test is skipped without it."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no data folder at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def server() -> Iterator[s3.Server]:
    """An object store on loopback; the test is skipped where moto is not installed."""
    pytest.importorskip("moto")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3.CREDENTIALS.items():
            patch.setenv(name, value)
        found = s3.Server()
        yield found
        found.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run side by side, a file's share a process; so do all that read one build."""
    for item in items:
        shared = "finished" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("finished" if shared else str(item.path)))
