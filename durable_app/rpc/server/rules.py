"""What Azure's service refuses, so that it does not show there for the first time."""

from __future__ import annotations

from typing import Final

from durable_app.errors import WireFormatError

MAX_ID_LENGTH: Final = 100
"""Characters of an instance id or an entity id that a client may choose."""
MAX_BATCH: Final = 500
"""Ids in one request."""


def check_id(instance_id: str, most: int | None) -> None:
    """Refuse an id that a client may not choose.

    Args:
        most: characters; None for any number.

    Raises:
        WireFormatError: it is empty or too long.
    """
    if not instance_id:
        raise WireFormatError("The id must not be empty.", "instanceId")
    if most is not None and len(instance_id) > most:
        raise WireFormatError(
            f"The length of the id is {len(instance_id)}; {most} characters is the most.",
            "instanceId",
        )


def check_name(name: str, field: str) -> None:
    """Refuse the empty name of an orchestration, an event or an operation.

    Raises:
        WireFormatError: it is empty.
    """
    if not name:
        raise WireFormatError("The name must not be empty.", field)


def check_batch(count: int) -> None:
    """Refuse a batch that is too large.

    Raises:
        WireFormatError: it is.
    """
    if count > MAX_BATCH:
        raise WireFormatError(
            f"{count} ids in one request; {MAX_BATCH} is the most.", "instanceIds"
        )
