"""What may have killed the process is tried alone.

The process is the hub's own with the worker in it, or that of a worker whose end the hub was told.

Theory of operation. After an unclean end of the process everything that it left behind is marked
before it is tried again. Should the process die once more, all that was marked has one more lost
attempt: the guilty item, and those that merely ran beside it. Nobody can tell them apart until few
attempts were lost by many. From then on an item is a *suspect*, be it an activity, the batch of an
entity or the turn of an orchestration. Suspects of all kinds share one place: a suspect is handed
out when the place is free, and the next one only when the outcome of the last is committed. So of
all suspects only the guilty one goes on to lose attempts, and is given up in the end.

After a crash what is no suspect (yet) may be guilty, too. Then nothing else is handed out at first:
before a suspect goes, what is in flight gets some time to end, and then the suspect some time to
show what it does. Neither lasts longer than ``ALONE_S``: one slow activity must not hold up a hub.

Between a crash and the next trial of a suspect there is a back-off, longer each time. Meanwhile
those that are not suspected, and suspects that were lost less often, get done.

What must never happen: the place stays taken by an item that nobody runs. Therefore nobody has to
leave it: it is free as soon as the dispatch has ended, however it did. Or others are held back for
nothing: that ends when its time is up, or when no suspect asks for the place any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from durable_app.taskhub.activity import back_off

if TYPE_CHECKING:
    from datetime import datetime

    from durable_app.ports import Clock
    from durable_app.protocol import CompletionToken
    from durable_app.scheduler.hot import HotCache
    from durable_app.scheduler.streams import Streams

#: From so many lost attempts on an item is a suspect: the first loss is too often mere company.
_SUSPECT: Final = 2
#: How long others are held back, at most: before a suspect goes, and once more when it went.
ALONE_S: Final = 1.0


class Quarantine:
    """The place for one suspect."""

    def __init__(
        self, streams: Streams, cache: HotCache, clock: Clock, max_attempts: int, wait_s: float
    ) -> None:
        """Empty; for the last two arguments see ``HubOptions``."""
        self._clock = clock
        self._streams = streams
        self._cache = cache
        self._max_attempts = max_attempts
        self._wait_s = wait_s
        # Whatever the limit, the last attempt is made alone.
        self._suspect = max(1, min(_SUSPECT, max_attempts - 1))
        self._crashed_at: datetime | None = None
        self._occupant: tuple[CompletionToken, str] | None = None
        #: Monotonic seconds until which others are held back; None for not at all.
        self._closed_until: float | None = None
        self._is_asked_for = False

    @property
    def is_closed(self) -> bool:
        """True while nothing but a suspect may be handed out."""
        return self._closed_until is not None and self._clock.monotonic() < self._closed_until

    @property
    def opens_in_s(self) -> float | None:
        """Seconds until others may be handed out; None where they may."""
        if self._closed_until is None:
            return None
        left = self._closed_until - self._clock.monotonic()
        return left if left > 0 else None

    def admits(self) -> bool:
        """True where a suspect may be handed out now. Those who wait ask in every drain."""
        if self._occupant is not None:
            return False
        if self._crashed_at is None:
            # It was given back again and again by a worker that lives: no danger to others.
            return True
        self._is_asked_for = True
        if self._closed_until is None:
            self._closed_until = self._clock.monotonic() + ALONE_S
        return not self._streams.in_flight or not self.is_closed

    def recover(self, now: datetime) -> None:
        """The process before this one, or that of a worker, has crashed."""
        self._crashed_at = now

    def is_suspect(self, attempts: int) -> bool:
        """True for an item that lost so many attempts, and has one left: it needs the place."""
        return self._suspect <= attempts < self._max_attempts

    def is_spent(self, attempts: int) -> bool:
        """True for an item that lost so many attempts that it is given up."""
        return attempts >= self._max_attempts

    def due(self, attempts: int, not_before: datetime) -> datetime:
        """When an item that lost so many attempts may be tried, given when it may at the earliest.

        A crash comes without anybody who could write down when to try again: a suspect's back-off
        counts from the start of this process, or from the end of the last worker that died.
        """
        if self._crashed_at is None or not self.is_suspect(attempts):
            return not_before
        return max(not_before, self._crashed_at + self._wait_s * back_off(max(1, attempts - 1)))

    def enter(self, token: CompletionToken, instance_id: str) -> None:
        """A suspect of this instance is handed out."""
        self._occupant = (token, instance_id)
        if self._crashed_at is not None:
            self._closed_until = self._clock.monotonic() + ALONE_S

    def settle(self) -> None:
        """All that was decided is committed, except for parts that ride with a turn: look again.

        Not before: of a suspect whose outcome is lost nobody could say that it had one.
        """
        if self._occupant is not None:
            token, instance_id = self._occupant
            hot = self._cache.get(instance_id)
            if self._streams.held(token) is not None or (hot is not None and hot.parts):
                return
            self._occupant = None
        elif self._is_asked_for:
            self._is_asked_for = False
            return
        self._closed_until = None
