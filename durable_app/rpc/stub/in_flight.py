"""What a worker holds of a remote hub. No I/O; belongs to one event loop.

Theory of operation. A stream may break while items of it are being run. They run on, and the hub,
which cannot know that, sends them again with the next stream, under other tokens. So an item that
arrives may be one that is being run already:

* the same activity, or the same batch of an entity: it is not run a second time; the outcome of the
  first goes out under the latest token, the only one that the hub surely takes;
* another batch of an entity whose batch is being run: it waits, as an entity does one thing at a
  time;
* another turn of an instance: it is run after the first, since the hub will not take the outcome of
  the first one, and that is not sent.

What must never happen: an outcome that goes out under the token of other work; an item that waits
for one that has ended.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from durable_app.protocol import ActivityRequest, CompletionToken, OrchestratorRequest, WorkItem

if TYPE_CHECKING:
    from collections.abc import Hashable


class Ended(NamedTuple):
    """An item that is not run any more.

    Attributes:
        item: as the hub has sent it.
        token: for its outcome; None where nobody waits for it.
        following: an item that has to run now.
    """

    item: WorkItem
    token: CompletionToken | None
    following: WorkItem | None


class _Run:
    """An item that is being run, and the token that its outcome carries; None drops it."""

    __slots__ = ("item", "key", "token", "waiting")

    def __init__(self, item: WorkItem, key: Hashable) -> None:
        self.item = item
        self.key = key
        self.token: CompletionToken | None = item.token
        self.waiting: WorkItem | None = None


class InFlight:
    """The items, by the tokens under which the worker knows them.

    Those have numbers of our own: some hubs give one token to several items.
    """

    def __init__(self) -> None:
        """None."""
        self._runs: dict[CompletionToken, _Run] = {}
        self._latest: dict[Hashable, _Run] = {}
        self._nonces = count()

    def __len__(self) -> int:
        return len(self._runs)

    def arrived(self, item: WorkItem) -> WorkItem | None:
        """The item as the worker shall run it now; None where it must not."""
        key = _key(item)
        run = self._latest.get(key)
        if run is not None and not self._goes_beside(run, item):
            return None
        token = CompletionToken(item.token.target, next(self._nonces))
        self._runs[token] = self._latest[key] = _Run(item, key)
        return msgspec.structs.replace(item, token=token)

    def _goes_beside(self, run: _Run, item: WorkItem) -> bool:
        if isinstance(item, OrchestratorRequest):
            run.token = None
            return True
        if msgspec.structs.replace(item, token=run.item.token) == run.item:
            run.token, run.waiting = item.token, None
            return False
        if isinstance(item, ActivityRequest):
            return True
        run.token, run.waiting = None, item
        return False

    def ended(self, token: CompletionToken) -> Ended | None:
        """An item is not run any more; None for a token that is not known.

        Args:
            token: as the worker knows it.
        """
        run = self._runs.pop(token, None)
        if run is None:
            return None
        if self._latest.get(run.key) is run:
            del self._latest[run.key]
        following = None if run.waiting is None else self.arrived(run.waiting)
        return Ended(run.item, run.token, following)

    def left(self) -> list[tuple[WorkItem, CompletionToken]]:
        """Everything that somebody waits for, with the token to give it back."""
        found: list[tuple[WorkItem, CompletionToken]] = []
        for run in self._runs.values():
            if run.token is not None:
                found.append((run.item, run.token))
            if run.waiting is not None:
                found.append((run.waiting, run.waiting.token))
        return found


def _key(item: WorkItem) -> Hashable:
    """What cannot be run twice at the same time."""
    if isinstance(item, ActivityRequest):
        return item.instance, item.task_id
    return item.instance_id
