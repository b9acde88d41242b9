"""Options and settings of the simulation."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=None, help="simulate only this seed")


@pytest.fixture(scope="session")
def seeds(request: pytest.FixtureRequest, chaos_scale: int) -> range:
    """Which seeds to run on each store."""
    seed = request.config.getoption("--seed", default=None)
    if seed is not None:
        return range(seed, seed + 1)
    return range(1, 1 + 100 * chaos_scale)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The hub reports each outage, and there are thousands."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
