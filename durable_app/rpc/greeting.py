"""Asks once whether a task hub answers, before anything depends on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from durable_app.connection.failures import LinkFailure
from durable_app.rpc.call_kinds import HELLO, link_failure
from durable_app.rpc.connect import HubAccess, connect

if TYPE_CHECKING:
    from durable_app.ports import Clock


def is_task_hub(access: HubAccess, clock: Clock, timeout_s: float) -> bool:
    """Whether a task hub answers, be it one that refuses who asks. Blocks.

    Raises:
        ConfigError: a credential that does not fit, or a token that would travel in the clear.
        TokenUnavailableError: there is no access token.
    """
    connection = connect(access, clock)
    try:
        # An empty message is no bytes at all.
        connection.channel.unary_unary(HELLO)(b"", timeout=timeout_s)
    except grpc.RpcError as error:
        failure = link_failure(error.code().name)
        return failure not in {LinkFailure.TRANSPORT, LinkFailure.NOT_A_HUB}
    finally:
        connection.close()
    return True
