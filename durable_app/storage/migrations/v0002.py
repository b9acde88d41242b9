"""Entities.

* ``entity`` is set on the rows of entities alone: who holds the lock. ``state`` is JSON text, in
  the row whatever its size: a batch of operations rewrites it at all events.
* Lists of orchestrations walk past no entity: their index holds none.
"""

from __future__ import annotations

from typing import Final

SCRIPT: Final = """
ALTER TABLE instances ADD COLUMN entity BLOB;
ALTER TABLE instances ADD COLUMN state TEXT;
DROP INDEX instances_by_creation;
CREATE INDEX instances_by_creation ON instances (hub, created_at, instance_id)
    WHERE entity IS NULL
"""
