"""Limits of all worker processes together."""

from __future__ import annotations

import pytest

from durable_app.compose.worker_pool import share_of
from durable_app.host.config.options import HostSettings


def options(**durable: int):
    settings = HostSettings.model_validate({"extensions": {"durableTask": durable}})
    return settings.extensions.durable_task


@pytest.mark.parametrize(("limit", "count"), [(10, 3), (7, 2), (4, 4)])
def test_the_shares_of_all_processes_make_up_the_limit(limit, count):
    found = options(
        maxConcurrentActivityFunctions=limit,
        maxConcurrentOrchestratorFunctions=limit,
        maxConcurrentEntityFunctions=limit,
    )
    shares = [share_of(found, count, number) for number in range(1, count + 1)]
    for kind in ("activities", "orchestrations", "entities"):
        assert sum(getattr(share, kind) for share in shares) == limit
    assert max(s.activities for s in shares) - min(s.activities for s in shares) <= 1


def test_without_a_limit_each_process_decides():
    assert share_of(options(), 2, 1).activities > 1_000_000
