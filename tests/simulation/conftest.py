"""Options and settings of the simulation."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=None, help="simulate only this seed")


@pytest.fixture(scope="session")
def seeds(request: pytest.FixtureRequest) -> range:
    """Which seeds to run on each store; SIMULATION_SEEDS says how many."""
    seed = request.config.getoption("--seed", default=None)
    if seed is not None:
        return range(seed, seed + 1)
    return range(1, 1 + int(os.environ.get("SIMULATION_SEEDS", "100")))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The hub reports each outage, and there are thousands."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
