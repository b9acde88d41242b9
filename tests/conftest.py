"""Settings that all tests share."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "default",
    # The machine may be busy with other tests; pytest-timeout bounds a hang.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("default")


@pytest.fixture(scope="session")
def chaos_scale() -> int:
    """How many times bigger than in `make test` a test marked `chaos` shall be: 1 or more."""
    return int(os.environ.get("DURABLE_APP_CHAOS_SCALE", "1"))
