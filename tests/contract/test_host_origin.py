"""The address that a host tells: a URL that leads to it."""

from __future__ import annotations

import asyncio

import pytest

from durable_app.errors import ConfigError
from tests.contract.host_app import serving, write_app


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("127.0.0.1", "localhost"),
        ("127.0.0.2", "127.0.0.2"),
        ("::1", "[::1]"),  # of which localhost may be no name
        ("[::1]", "[::1]"),
        ("::ffff:127.0.0.1", "[::ffff:127.0.0.1]"),
    ],
)
def test_a_host_is_reached_under_the_origin_that_it_tells(tmp_path, address, name):
    async def main() -> tuple[str, int]:
        async with serving(write_app(tmp_path), address=address) as (host, call):
            return host.origin, (await call("GET", "/")).status

    try:
        origin, status = asyncio.run(main())
    except ConfigError as error:
        pytest.skip(f"no such address on this machine: {error}")
    assert origin.rpartition(":")[0] == f"http://{name}"
    assert status == 200
