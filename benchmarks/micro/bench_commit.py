"""Commits of the SQLite store beside what the machine itself can do, on the same disk.

A decision is a step of a chain: touch the row, append to the history, insert a task, delete one.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from time import perf_counter

from benchmarks.load.processes import scratch_folder
from benchmarks.micro.orders import PAYLOAD, Chain, Ids
from durable_app.storage.sqlite import SqliteStore

COMMITS = 200
# macOS has no fdatasync; its fsync is what SQLite calls there too.
flush: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


def append_and_flush() -> dict[str, float]:
    line = PAYLOAD.encode()
    with scratch_folder() as folder, (folder / "log").open("ab", buffering=0) as log:
        began = perf_counter()
        for _ in range(COMMITS):
            log.write(line)
            flush(log.fileno())
        return {"machine: append 47 bytes, fdatasync": (perf_counter() - began) / COMMITS}


def bare_sqlite() -> dict[str, float]:
    with scratch_folder() as folder:
        database = sqlite3.connect(folder / "bare.db", isolation_level=None)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, line TEXT NOT NULL)")
        began = perf_counter()
        for number in range(COMMITS):
            database.execute("INSERT INTO log VALUES (?, ?)", (number, PAYLOAD))
        taken = perf_counter() - began
        database.close()
    return {"machine: sqlite, commit of one row": taken / COMMITS}


def groups_of(size: int) -> dict[str, float]:
    ids = Ids()
    chains = [Chain(f"order-{number:06}", ids) for number in range(size)]
    groups = [[chain.step() for chain in chains] for _ in range(COMMITS)]
    with scratch_folder() as folder:
        store = SqliteStore(folder / "hub.db", "bench")
        store.open()
        assert not any(store.commit([chain.birth for chain in chains]))
        began = perf_counter()
        outcomes = [store.commit(group) for group in groups]
        taken = perf_counter() - began
        store.close()
    assert not any(refusal for outcome in outcomes for refusal in outcome)
    name = f"store: group of {size}"
    return {f"{name}, commit": taken / COMMITS, f"{name}, decision": taken / COMMITS / size}


def group_of_1() -> dict[str, float]:
    return groups_of(1)


def group_of_8() -> dict[str, float]:
    return groups_of(8)


def group_of_64() -> dict[str, float]:
    return groups_of(64)


CASES = (append_and_flush, bare_sqlite, group_of_1, group_of_8, group_of_64)
