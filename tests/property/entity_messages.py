"""What orchestrations send to entities, at random."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from hypothesis import strategies as st

from durable_app.protocol import (
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationSignaled,
    EntityUnlockSent,
    SendEntityMessage,
)
from tests.property.store_pair import ENTITIES
from tests.unit.taskhub.builders import NOW

IDS: Final = st.sampled_from(ENTITIES)
SECTIONS: Final = st.sampled_from(["s1", "s2"])
WAITS: Final = st.sampled_from([None, None, -1, 2])


@st.composite
def entity_messages(draw: Any, action_id: int, caller: str) -> SendEntityMessage:
    """What an orchestration sends to an entity."""
    target, section, wait = draw(IDS), draw(SECTIONS), draw(WAITS)
    at = None if wait is None else NOW + timedelta(seconds=wait)
    event: Any = draw(
        st.sampled_from(
            [
                EntityOperationSignaled(-1, NOW, f"{action_id}", "add", at, "1", target),
                EntityOperationCalled(
                    -1, NOW, f"{action_id}", "get", None, None, caller, None, target
                ),
                EntityLockRequested(-1, NOW, section, (target,), 0, caller),
                EntityLockRequested(-1, NOW, section, tuple(ENTITIES[:3]), 0, caller),
                EntityUnlockSent(-1, NOW, section, caller, target),
            ]
        )
    )
    return SendEntityMessage(action_id, event)
