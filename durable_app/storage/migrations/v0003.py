"""Task hubs that come and go.

* Instances are listed in the order of their ends.
* A task hub that was deleted keeps its row: the numbers of its next life must be higher, so that
  late answers of workers to items of this one find nothing.
"""

from __future__ import annotations

from typing import Final

SCRIPT: Final = """
CREATE INDEX instances_by_end ON instances (hub, completed_at, instance_id)
    WHERE completed_at IS NOT NULL AND entity IS NULL;
ALTER TABLE hubs ADD COLUMN is_deleted INTEGER NOT NULL DEFAULT 0
"""
