"""Outputs to queues of an account that is not there."""

from __future__ import annotations

import asyncio
import base64
import socket

import pytest

from durable_app.errors import ConfigError
from durable_app.host.triggers.queue_output import QueueSink
from durable_app.host.triggers.storage import StorageAccounts


def test_where_nothing_answers_the_message_says_so_at_once():
    pytest.importorskip("azure.storage.queue")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        key = base64.b64encode(b"key").decode()
        text = (
            f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey={key};"
            f"QueueEndpoint=http://127.0.0.1:{port}/a;"
        )

        async def scenario() -> None:
            accounts = StorageAccounts({"Storage": text})
            try:
                await QueueSink(accounts)({"queueName": "q", "connection": "Storage"}, "hello")
            finally:
                await accounts.close()

        with pytest.raises(ConfigError, match=rf"nothing answers at 127\.0\.0\.1:{port}, where"):
            asyncio.run(scenario())
