"""The first schema.

* The hub leads every key, so that one file holds any number of hubs, isolated from each other.
* ``instances`` rows are narrow, since every turn rewrites them: large inputs and outputs live in
  ``payloads`` (``spilled`` tells which: 1 input, 2 output).
* ``history`` has one row per turn; ``seq`` is the position of its first event.
* ``trying`` marks what may be blamed for a crash; see Store.mark.
* Times are microseconds since 1970 (UTC).
"""

from __future__ import annotations

from typing import Final

SCRIPT: Final = """
CREATE TABLE hubs (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    era INTEGER NOT NULL,
    is_open INTEGER NOT NULL
);
CREATE TABLE instances (
    hub INTEGER NOT NULL,
    instance_id TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT,
    status INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    completed_at INTEGER,
    parent_id TEXT,
    custom_status TEXT,
    history_count INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    not_before INTEGER,
    unsuspended_status INTEGER,
    trying INTEGER NOT NULL DEFAULT 0,
    trace_context BLOB,
    details BLOB NOT NULL,
    input TEXT,
    output TEXT,
    spilled INTEGER NOT NULL,
    PRIMARY KEY (hub, instance_id)
) WITHOUT ROWID;
CREATE INDEX instances_by_creation ON instances (hub, created_at, instance_id);
CREATE INDEX instances_by_parent ON instances (hub, parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX instances_tried ON instances (hub) WHERE trying = 1;
CREATE TABLE payloads (
    hub INTEGER NOT NULL,
    instance_id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (hub, instance_id, kind)
) WITHOUT ROWID;
CREATE TABLE history (
    hub INTEGER NOT NULL,
    instance_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    events BLOB NOT NULL,
    PRIMARY KEY (hub, instance_id, seq)
) WITHOUT ROWID;
CREATE TABLE messages (
    hub INTEGER NOT NULL,
    id INTEGER NOT NULL,
    instance_id TEXT NOT NULL,
    execution_id TEXT,
    visible_at INTEGER NOT NULL,
    key INTEGER NOT NULL,
    event BLOB NOT NULL,
    PRIMARY KEY (hub, id)
) WITHOUT ROWID;
CREATE INDEX messages_by_instance ON messages (hub, instance_id);
CREATE INDEX messages_by_time ON messages (hub, visible_at, id);
CREATE TABLE tasks (
    hub INTEGER NOT NULL,
    key INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    trying INTEGER NOT NULL DEFAULT 0,
    body BLOB NOT NULL,
    PRIMARY KEY (hub, key)
) WITHOUT ROWID;
CREATE INDEX tasks_tried ON tasks (hub) WHERE trying = 1;
"""
