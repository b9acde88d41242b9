"""The stores that the contract holds for; one more backend is one more entry of BACKENDS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.backends import BACKENDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from durable_app.ports import Store
    from tests.contract.backends import Backend


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """A place for stores: opens them, crashes them."""
    made: Backend = BACKENDS[request.param](tmp_path)
    yield made
    made.dispose()


@pytest.fixture
def store(backend: Backend) -> Store:
    """An open, empty store."""
    return backend.open()
