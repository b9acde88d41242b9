"""Hosts that are ended when the tests are over, however these end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Host, copy_app


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The repository's app, running; tests share it and use instances of their own."""
    host = Host(copy_app(tmp_path_factory.mktemp("shared") / "app"))
    try:
        yield host.start()
    finally:
        host.kill()


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A copy of the repository's app, for one test alone."""
    return copy_app(tmp_path / "app")


@pytest.fixture
def new_host() -> Iterator[Callable[..., Host]]:
    """Makes hosts, not yet started; takes what Host takes."""
    made: list[Host] = []

    def make(*args: object, **options: object) -> Host:
        made.append(Host(*args, **options))  # type: ignore[arg-type]  # passed on as they are
        return made[-1]

    yield make
    for host in made:
        host.kill()


@pytest.fixture
def app_host(app: Path, new_host: Callable[..., Host]) -> Host:
    """The repository's app on a hub of its own, running, for one test alone."""
    return new_host(app).start()
