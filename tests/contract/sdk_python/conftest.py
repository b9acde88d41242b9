"""A task hub of its own for each test, as the official SDK for Python sees it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.contract.sdk_python.sdk import Hub
from tests.contract.sdk_python.served import ServedHubs

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count()


@pytest.fixture(scope="session", params=["memory", "sqlite"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedHubs]:
    """The server."""
    folder = tmp_path_factory.mktemp("hubs")
    served = ServedHubs(folder / "hub.db" if request.param == "sqlite" else None)
    yield served
    served.close()
    assert served.fatal == []


@pytest.fixture
def hub(served: ServedHubs) -> Iterator[Hub]:
    """An empty task hub."""
    hub = Hub(served.address, f"hub{next(_numbers)}")
    yield hub
    served.leave(hub.close())
    assert served.fatal == []
