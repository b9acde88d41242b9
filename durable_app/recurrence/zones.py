"""Time zones by their names."""

from __future__ import annotations

import difflib
import zoneinfo
from datetime import UTC, tzinfo


def named_zone(name: str) -> tzinfo:
    """The time zone of an IANA name, such as ``Europe/Berlin``; ``UTC`` in any case.

    Raises:
        ValueError: there is none; the text goes on after the name ("which is no time zone ...").
    """
    if name.upper() == "UTC":
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        pass
    known = zoneinfo.available_timezones()
    if not known:
        raise ValueError("and this machine has no time zones. Run `pip install tzdata`.")
    near = difflib.get_close_matches(name, known, n=1)
    raise ValueError(
        f"which is no time zone. Write a name such as '{near[0] if near else 'Europe/Paris'}'."
    )
