"""Parts whose packages are extras: what to say where they are not installed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from durable_app.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

_OF_GRPC: Final = frozenset({"grpc", "google"})


@contextlib.contextmanager
def needs_grpc() -> Iterator[None]:
    """Import what speaks gRPC in the block.

    Raises:
        ConfigError: gRPC or protobuf is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _OF_GRPC:
            raise
        raise ConfigError(
            "A task hub of another process is reached over gRPC, which is not installed:"
            ' pip install "durable-app[azure]".'
        ) from error
