"""Every statement of the SQLite store, named.

Nothing gathers statistics, so sqlite guesses how selective an index is. Where it would walk through
all rows of a hub, the statement names its index.
"""

from __future__ import annotations

from typing import Final

INSTANCE_COLUMNS: Final = (
    "instance_id, execution_id, name, version, status, created_at, updated_at, completed_at,"
    " parent_id, custom_status, history_count, revision, attempts, not_before,"
    " unsuspended_status, trace_context, details, input, output, spilled,"
    " entity, state"
)
_PLACES: Final = ", ".join("?" * 23)

INSERT_INSTANCE: Final = f"INSERT INTO instances (hub, {INSTANCE_COLUMNS}) VALUES ({_PLACES})"
BEAR_INSTANCE: Final = (
    f"INSERT OR IGNORE INTO instances (hub, {INSTANCE_COLUMNS}) VALUES ({_PLACES})"
)
TOUCH_INSTANCE: Final = (
    "UPDATE instances SET status = ?, updated_at = ?, custom_status = ?, history_count = ?,"
    " revision = ?, attempts = ?, not_before = ?, unsuspended_status = ?, trace_context = ?,"
    " trying = 0 WHERE hub = ? AND instance_id = ? AND revision = ?"
)
TOUCH_ENTITY: Final = (
    "UPDATE instances SET updated_at = ?, revision = ?, attempts = ?, not_before = ?, entity = ?,"
    " state = ?, trying = 0 WHERE hub = ? AND instance_id = ? AND revision = ?"
)
DELETE_INSTANCE_REVISION: Final = (
    "DELETE FROM instances WHERE hub = ? AND instance_id = ? AND revision = ?"
)
LOAD_INSTANCE: Final = f"SELECT {INSTANCE_COLUMNS} FROM instances WHERE hub = ? AND instance_id = ?"
EXECUTION_OF: Final = "SELECT execution_id FROM instances WHERE hub = ? AND instance_id = ?"
CHILDREN: Final = (
    "SELECT instance_id FROM instances WHERE hub = ? AND parent_id = ? ORDER BY instance_id"
)

ENTITIES: Final = (
    f"SELECT {INSTANCE_COLUMNS} FROM instances"
    " WHERE hub = ? AND instance_id > ? AND entity IS NOT NULL ORDER BY instance_id LIMIT ?"
)
BACKLOG: Final = (
    "SELECT count(*) FROM messages INDEXED BY messages_by_instance"
    " WHERE hub = ? AND instance_id = ?"
)

UPSERT_PAYLOAD: Final = (
    "INSERT OR REPLACE INTO payloads (hub, instance_id, kind, value) VALUES (?, ?, ?, ?)"
)
DELETE_PAYLOADS: Final = "DELETE FROM payloads WHERE hub = ? AND instance_id = ?"
LOAD_PAYLOADS: Final = "SELECT kind, value FROM payloads WHERE hub = ? AND instance_id = ?"

INSERT_HISTORY: Final = "INSERT INTO history (hub, instance_id, seq, events) VALUES (?, ?, ?, ?)"
DELETE_HISTORY: Final = "DELETE FROM history WHERE hub = ? AND instance_id = ?"
LOAD_HISTORY: Final = "SELECT events FROM history WHERE hub = ? AND instance_id = ? ORDER BY seq"

INSERT_MESSAGE: Final = (
    "INSERT INTO messages (hub, id, instance_id, execution_id, visible_at, key, event)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
DELETE_MESSAGE: Final = "DELETE FROM messages WHERE hub = ? AND id = ?"
DELETE_MESSAGES_OF: Final = "DELETE FROM messages WHERE hub = ? AND instance_id = ?"
LOAD_MESSAGES: Final = (
    "SELECT id, instance_id, execution_id, visible_at, key, event FROM messages"
    " INDEXED BY messages_by_instance WHERE hub = ? AND instance_id = ? ORDER BY visible_at, id"
)
DUE_MESSAGES: Final = (
    "SELECT visible_at, id, instance_id FROM messages"
    " WHERE hub = ? AND (visible_at, id) > (?, ?) AND visible_at <= ?"
    " ORDER BY visible_at, id LIMIT ?"
)
NEXT_DUE: Final = (
    "SELECT visible_at FROM messages WHERE hub = ? AND visible_at > ? ORDER BY visible_at LIMIT 1"
)

INSERT_TASK: Final = (
    "INSERT INTO tasks (hub, key, attempts, not_before, body) VALUES (?, ?, ?, ?, ?)"
)
DELETE_TASK: Final = "DELETE FROM tasks WHERE hub = ? AND key = ?"
LOAD_TASKS: Final = (
    "SELECT key, attempts, not_before, body FROM tasks WHERE hub = ? AND key > ?"
    " ORDER BY key LIMIT ?"
)
POSTPONE_TASK: Final = (
    "UPDATE tasks SET attempts = ?, not_before = ?, trying = 0 WHERE hub = ? AND key = ?"
)

MARK_TASK: Final = "UPDATE tasks SET trying = 1 WHERE hub = ? AND key = ?"
MARK_INSTANCE: Final = "UPDATE instances SET trying = 1 WHERE hub = ? AND instance_id = ?"
COUNT_LOST_TASKS: Final = (
    "UPDATE tasks INDEXED BY tasks_tried SET attempts = attempts + 1, trying = 0"
    " WHERE hub = ? AND trying = 1"
)
COUNT_LOST_TURNS: Final = (
    "UPDATE instances INDEXED BY instances_tried SET attempts = attempts + 1, trying = 0"
    " WHERE hub = ? AND trying = 1"
)
CLEAR_TASK_MARKS: Final = (
    "UPDATE tasks INDEXED BY tasks_tried SET trying = 0 WHERE hub = ? AND trying = 1"
)
CLEAR_INSTANCE_MARKS: Final = (
    "UPDATE instances INDEXED BY instances_tried SET trying = 0 WHERE hub = ? AND trying = 1"
)

LOAD_HUB: Final = "SELECT id, era, is_open FROM hubs WHERE name = ?"
CREATE_HUB: Final = "INSERT INTO hubs (name, era, is_open) VALUES (?, 0, 0)"
OPEN_HUB: Final = "UPDATE hubs SET era = era + 1, is_open = 1, is_deleted = 0 WHERE id = ?"
CLOSE_HUB: Final = "UPDATE hubs SET is_open = 0 WHERE id = ?"
HUB_NAMES: Final = "SELECT name FROM hubs WHERE NOT is_deleted ORDER BY name"
DROP_HUB: Final = (
    *(f"DELETE FROM {t} WHERE hub = ?" for t in ("history", "messages", "payloads", "tasks")),
    "DELETE FROM instances WHERE hub = ?",
    "UPDATE hubs SET is_deleted = 1 WHERE id = ?",
)

PURGE_INSTANCE: Final = "DELETE FROM instances WHERE hub = ? AND instance_id = ?"
