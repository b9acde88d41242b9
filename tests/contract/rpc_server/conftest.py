"""One server for all tests of a module, and a task hub of its own for each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.rpc_server.bench import Desk, Served

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """The server, with task hubs in memory."""
    served = Served()
    yield served
    served.close()
    assert served.fatal == []


@pytest.fixture
def desk(served: Served) -> Iterator[Desk]:
    """An empty task hub."""
    desk = Desk(served.address)
    yield desk
    desk.close()
    assert served.fatal == []
