"""Fixtures of tests/crawls.py, which is imported where one is used."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def world(tmp_path: Path, maker: Any) -> Any:
    """Crawls in a folder, links to their pages, and an archive."""
    from crawls import World

    return World(tmp_path, maker)


@pytest.fixture
def worlds(maker: Any, tmp_path_factory: Any) -> Callable[[], Any]:
    """Makes one new world after another, for tests of properties."""
    from crawls import World

    return lambda: World(tmp_path_factory.mktemp("world"), maker)


@pytest.fixture
def https(world: Any) -> Iterator[Any]:
    """The world's crawls on a server that knows ranges."""
    from crawls import Server

    with Server(world.place) as running:
        yield running
