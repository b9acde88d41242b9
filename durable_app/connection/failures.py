"""What a broken link to a task hub means for who uses it.

The adapter that speaks to the hub sorts its own failures into these kinds; everything that decides
what happens next knows the kinds alone.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from durable_app.errors import SchedulerUnavailableError


class LinkFailure(Enum):
    """Why a call or a stream ended without a result."""

    #: The connection: nobody answers, it was cut, it timed out. Another connection may help.
    TRANSPORT = "transport"
    #: The hub wants another access token.
    UNAUTHENTICATED = "unauthenticated"
    #: The hub answered and refuses for now: no role yet, no such hub yet, its own fault.
    REFUSED = "refused"
    #: What answers is no task hub. Waiting changes nothing.
    NOT_A_HUB = "not a task hub"


class LinkError(SchedulerUnavailableError):
    """A task hub could not be used.

    Attributes:
        failure: what that means.
    """

    code: ClassVar[str] = "scheduler_unavailable"

    def __init__(self, failure: LinkFailure, text: str) -> None:
        """Args: the kind of failure, and a message for people that holds no secret."""
        super().__init__(text)
        self.failure = failure


class TokenUnavailableError(SchedulerUnavailableError):
    """No access token could be had, so that the task hub cannot be asked anything."""
