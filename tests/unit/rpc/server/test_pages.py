"""Pages of queries fit into what a client receives."""

from __future__ import annotations

import asyncio

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from durable_app.ports import EntityQuery, InstanceQuery
from durable_app.rpc.server.pages import PAGE_BYTES, fitting_page

MEBIBYTE = 2**20


class Rows:
    """Rows of these sizes; it notes how many each page was asked to have."""

    def __init__(self, *sizes):
        self.sizes = sizes
        self.asked = []
        self.items = ()

    async def fetch(self, query):
        self.asked.append(query.page_size)
        self.items = self.sizes[: query.page_size]
        return self


def encode(page):
    return StringValue(value="x" * sum(page.items))


def sent(rows, query):
    message = asyncio.run(fitting_page(query, rows.fetch, encode))
    return len(rows.items), message.ByteSize()


@pytest.mark.parametrize("query", [InstanceQuery(page_size=100), EntityQuery(page_size=100)])
def test_a_page_that_fits_is_asked_for_once(query):
    rows = Rows(*[1_000] * 100)

    assert sent(rows, query)[0] == 100
    assert rows.asked == [100]


def test_a_page_that_is_too_large_has_as_many_rows_as_fit():
    rows = Rows(*[MEBIBYTE // 4] * 100)
    count, size = sent(rows, InstanceQuery(page_size=100))

    assert count == 11
    assert size <= PAGE_BYTES
    assert rows.asked == [100, 11]


def test_rows_may_differ_in_size():
    rows = Rows(2 * MEBIBYTE, 2 * MEBIBYTE, *[1] * 98)

    assert sent(rows, InstanceQuery(page_size=100))[0] == 1


def test_one_row_is_sent_however_large():
    rows = Rows(5 * MEBIBYTE, 5 * MEBIBYTE)
    count, size = sent(rows, InstanceQuery(page_size=2))

    assert count == 1
    assert size > PAGE_BYTES
