"""Who waits for an instance to reach a status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable_app.protocol import OrchestrationStatus
from durable_app.scheduler.inputs import Reply, WaitFor, Watch

if TYPE_CHECKING:
    from durable_app.taskhub.instance import Instance


def is_reached(status: OrchestrationStatus, until: WaitFor) -> bool:
    """True when somebody who waits for ``until`` need not wait any longer."""
    match until:
        case WaitFor.START:
            return status is not OrchestrationStatus.PENDING
        case WaitFor.COMPLETION:
            return status.is_terminal
        case WaitFor.RECOVERY:
            return status is not OrchestrationStatus.FAILED


class Watchers:
    """Replies by instance; told of every committed row."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._waiting: dict[str, list[Watch]] = {}

    def add(self, watch: Watch, instance: Instance | None) -> None:
        """Answer at once where the committed row is far enough, else keep."""
        if instance is not None and is_reached(instance.status, watch.until):
            watch.reply.resolve(instance.state(fetch_payloads=True))
        else:
            self._waiting.setdefault(watch.instance_id, []).append(watch)

    def remove(self, instance_id: str, reply: Reply) -> None:
        """Somebody waits no longer."""
        left = [w for w in self._waiting.get(instance_id, ()) if w.reply is not reply]
        if left:
            self._waiting[instance_id] = left
        else:
            self._waiting.pop(instance_id, None)

    def committed(self, instance: Instance) -> None:
        """A row was committed."""
        waiting = self._waiting.get(instance.instance_id)
        if not waiting:
            return
        left: list[Watch] = []
        for watch in waiting:
            if is_reached(instance.status, watch.until):
                watch.reply.resolve(instance.state(fetch_payloads=True))
            else:
                left.append(watch)
        if left:
            self._waiting[instance.instance_id] = left
        else:
            del self._waiting[instance.instance_id]

    def close(self, error: Exception) -> None:
        """Nobody will ever be answered."""
        for watches in self._waiting.values():
            for watch in watches:
                watch.reply.reject(error)
        self._waiting.clear()
