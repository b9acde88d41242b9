"""What host.json says of a host's own hub, and where a hub in memory is found."""

from __future__ import annotations

import asyncio
import json

import pytest

from durable_app.clock import SystemClock
from durable_app.compose.hub_side import EmbeddedSide, hub_options
from durable_app.compose.plan import HostOptions, make_plan
from durable_app.errors import ConfigError
from durable_app.host.config.hub_choice import memory_mark
from durable_app.host.lifecycle import Stop
from durable_app.scheduler.state import HubOptions
from durable_app.storage.ownership import owner_of


def plan(folder, **durable_task):
    text = json.dumps({"version": "2.0", "extensions": {"durableTask": durable_task}})
    (folder / "host.json").write_text(text)
    return make_plan(HostOptions(folder, store="memory", hub="embedded"), {})


def test_the_hub_has_its_defaults(tmp_path):
    assert hub_options(plan(tmp_path)) == HubOptions()


def test_the_hub_gets_what_host_json_says(tmp_path):
    found = hub_options(
        plan(tmp_path, hubName="orders", maxLostAttempts=3, maxEntityOperationBatchSize=7)
    )
    assert found == HubOptions(name="orders", max_attempts=3, max_batch=7)


@pytest.mark.parametrize("number", [0, 1001, True, "few"])
def test_the_number_of_lost_attempts_has_bounds(tmp_path, number):
    with pytest.raises(ConfigError, match="maxLostAttempts"):
        plan(tmp_path, maxLostAttempts=number)


def test_a_hub_in_memory_is_found_from_its_announcement_to_its_end(tmp_path):
    mark = memory_mark(tmp_path, "default")

    async def live():
        side = EmbeddedSide(plan(tmp_path), SystemClock(), Stop())
        side.open()
        assert owner_of(mark) is None
        side.announce("http://localhost:7071")
        owner = owner_of(mark)
        await side.stop(1.0)
        return owner

    found = asyncio.run(live())
    assert found is not None
    assert found.url == "http://localhost:7071"
    assert not mark.parent.exists()
