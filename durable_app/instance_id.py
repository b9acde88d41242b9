"""Which instance ids are taken, from clients, orchestrators and entities alike.

Source: the Functions host puts ids into the paths of its management URLs.
"""

from __future__ import annotations

from typing import Final

MAX_ID_LENGTH: Final = 256
_FORBIDDEN: Final = frozenset("/\\#?")
_SURROGATES: Final = ("\ud800", "\udfff")


def check_instance_id(instance_id: str) -> None:
    r"""Refuse ids that the management URLs could not carry.

    Raises:
        ValueError: empty, longer than 256 characters, starting with "@" (entities), or with one
            of ``/ \ # ?``, a control character, or half of a surrogate pair.
    """
    if not 1 <= len(instance_id) <= MAX_ID_LENGTH:
        raise ValueError(
            f"An instance id has 1 to {MAX_ID_LENGTH} characters; this one has a length of"
            f" {len(instance_id)}."
        )
    if instance_id.startswith("@"):
        raise ValueError(
            f"Instance id '{instance_id}' starts with '@', which is reserved for entities."
        )
    bad = next((c for c in instance_id if c in _FORBIDDEN or not _is_printable(c)), None)
    if bad is not None:
        raise ValueError(
            f"Instance id {instance_id!r} contains {bad!r}; '/', '\\', '#', '?' and control"
            " characters are not allowed."
        )


def _is_printable(char: str) -> bool:
    # C0, DEL and C1 controls, and what UTF-8 cannot express; all else is allowed, as non-ASCII.
    first, last = _SURROGATES
    return not (char < " " or "\x7f" <= char <= "\x9f" or first <= char <= last)
