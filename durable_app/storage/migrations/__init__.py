"""Schema versions of the SQLite store, oldest first; the n-th leads to ``user_version`` n.

A released migration is never edited: a change is a new one.
"""

from __future__ import annotations

from typing import Final

from durable_app.storage.migrations import v0001, v0002, v0003

MIGRATIONS: Final[tuple[str, ...]] = (v0001.SCRIPT, v0002.SCRIPT, v0003.SCRIPT)
