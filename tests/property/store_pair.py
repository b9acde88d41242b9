"""A memory store and an SQLite store that are driven through the same sequence."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from durable_app.ports import IdQuery, InstanceQuery, PurgeFilter, Store
from durable_app.protocol import TERMINAL
from durable_app.storage.memory import MemoryStore
from durable_app.storage.sqlite import SqliteStore
from durable_app.taskhub.instance import Decision, MessageId
from tests.contract.backends import snapshot
from tests.unit.taskhub.builders import NOW, CountingIds

NAMES = ["a", "b", "child-é", "x'%_"]
#: In the order of a database: by code points.
ENTITIES = ["@a@1", "@a@é", "@ab@1", "@b@x'%_"]


class StorePair(RuleBasedStateMachine):
    """Both stores, opened and closed together."""

    @initialize()
    def open_both(self):
        self.folder = tempfile.TemporaryDirectory()
        self.memory = MemoryStore()
        self.now = NOW
        self.open_again(self.memory)

    def open_again(self, memory: MemoryStore):
        self.sqlite = SqliteStore(Path(self.folder.name) / "hub.db", "default")
        recoveries = [memory.open(), self.sqlite.open()]
        assert recoveries[0] == recoveries[1]
        self.ids = CountingIds(recoveries[0].last_key + 1)

    @property
    def both(self) -> tuple[Store, Store]:
        return self.memory, self.sqlite

    def teardown(self):
        if hasattr(self, "sqlite"):
            self.sqlite.close()
            self.folder.cleanup()

    def commit(self, *decisions: Decision) -> list[type | None]:
        outcomes = [
            [error if error is None else type(error) for error in store.commit(decisions)]
            for store in self.both
        ]
        assert outcomes[0] == outcomes[1]
        return outcomes[0]

    @rule()
    def sweep(self):
        known = {*NAMES, *ENTITIES}
        due = self.memory.due((NOW, 0), self.now, 100)
        strays = [i for _, i, name in due if name in known and self.memory.load(name) is None]
        for store in self.both:
            store.orphans(strays)

    @rule(seconds=st.integers(min_value=1, max_value=3))
    def wait(self, seconds):
        self.now += timedelta(seconds=seconds)

    @rule(is_clean=st.booleans())
    def reopen(self, is_clean):
        if is_clean:
            self.memory.close()
            self.sqlite.close()
        else:
            self.sqlite.file.close()
        self.open_again(self.memory)

    # -- what must hold --------------------------------------------------------------------------

    @invariant()
    def both_hold_the_same(self):
        if hasattr(self, "memory"):
            names = [*NAMES, *ENTITIES]
            assert snapshot(self.memory, names) == snapshot(self.sqlite, names)

    @invariant()
    def both_find_the_same(self):
        if hasattr(self, "memory"):
            assert self.found(self.memory) == self.found(self.sqlite)

    def found(self, store: Store) -> list[Any]:
        finished = InstanceQuery(statuses=TERMINAL, page_size=2)
        page = store.query(finished)
        token = page.continuation_token
        return [
            page,
            store.query(msgspec.structs.replace(finished, continuation_token=token)),
            store.select_purgeable(PurgeFilter(), 3),
            store.list_ids(IdQuery(page_size=3)),
            store.next_due(self.now),
            store.due((self.now, MessageId(0)), self.now + timedelta(seconds=2), 5),
        ]
