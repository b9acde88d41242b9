"""What instances do when they have something to do."""

from __future__ import annotations

from durable_app.ports import Mark
from durable_app.storage.memory import MemoryStore
from tests.unit.scheduler.rig import Rig


class CountingStore(MemoryStore):
    """Notes what is marked, call by call."""

    def __init__(self) -> None:
        super().__init__()
        self.marked: list[tuple[Mark, list[int | str]]] = []

    def mark(self, what, keys):
        self.marked.append((what, list(keys)))
        super().mark(what, keys)


def test_turns_that_are_tried_again_after_a_crash_are_marked_in_one_transaction():
    store = CountingStore()
    before = Rig(store)
    for number in range(5):
        before.start(f"i{number}")
    # Not closed: the process has died.
    after = Rig(store)
    assert store.marked == []
    worker = after.worker(turns=3)
    assert len(worker.turns) == 3
    assert [(what, len(keys)) for what, keys in store.marked] == [(Mark.INSTANCE, 3)]


def test_turns_of_new_instances_are_not_marked():
    store = CountingStore()
    before = Rig(store)
    before.start("old")
    after = Rig(store)
    worker = after.worker()
    store.marked.clear()
    after.start("new")
    assert len(worker.turns) == 2
    assert store.marked == []
