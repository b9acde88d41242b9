"""Which instances an app runs, by their versions.

Versions are compared as PEP 440 orders them where both can be read so, else as texts. An instance
without a version is older than every version.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any, Final, Literal

import msgspec

Strategy = Literal["None", "Strict", "CurrentOrOlder"]

_PEP_440: Final = re.compile(
    r"""\s*v?
    (?:(?P<epoch>\d+)!)?
    (?P<release>\d+(?:\.\d+)*)
    (?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_number>\d*))?
    (?:-(?P<post_dash>\d+)|[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_number>\d*))?
    (?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_number>\d*))?
    (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?
    \s*""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_PRE: Final = {"alpha": 0, "a": 0, "beta": 1, "b": 1, "preview": 2, "pre": 2, "c": 2, "rc": 2}
#: Places beside those of pre-releases: a development release comes before them, a final one after.
_BEFORE_PRE: Final = -1
_FINAL: Final = 3


class VersionMatch(msgspec.Struct, frozen=True):
    """Which versions a host takes.

    Attributes:
        own: version of the host; None for none.
        match_strategy: "None" for all, "Strict" for its own only, "CurrentOrOlder" for that and
            those before. None where nobody has chosen: "CurrentOrOlder" if the host has a version,
            but versions that the app has an orchestrator of its own for are taken, too.
        fails: an instance of another version fails; else it waits for a host that takes it.
    """

    own: str | None = None
    match_strategy: Strategy | None = None
    fails: bool = False

    def takes(self, version: str | None, known: Container[str | None] = ()) -> bool:
        """Tell whether an instance of a version is run here.

        Args:
            version: of the instance; None or "" for none.
            known: versions that the app has an orchestrator of its own for.
        """
        strategy = self.match_strategy
        if strategy is None:
            if not self.own or (version and version in known):
                return True
            strategy = "CurrentOrOlder"
        if strategy == "None":
            return True
        order = compare(version, self.own)
        return order == 0 or (order < 0 and strategy == "CurrentOrOlder")

    def refusal(self, name: str, version: str | None) -> str:
        """Say why an instance is not taken, and what would help."""
        has = f"has version '{version}'" if version else "has no version"
        own = f"version '{self.own}'" if self.own else "instances without a version"
        older = " and older ones" if self.own and self.match_strategy != "Strict" else ""
        return (
            f"Orchestration '{name}' {has}; this host runs {own}{older} (defaultVersion and"
            " versionMatchStrategy of host.json)."
        )


def compare(left: str | None, right: str | None) -> int:
    """Return -1 if the left version is older, 1 if it is newer, 0 if they are equal."""
    if not left or not right:
        return bool(left) - bool(right)
    left_key, right_key = _key(left), _key(right)
    if left_key is not None and right_key is not None:
        return (left_key > right_key) - (left_key < right_key)
    return (left > right) - (left < right)


def _key(version: str) -> tuple[Any, ...] | None:
    """Return what orders versions as PEP 440 says; None for a text that is none."""
    found = _PEP_440.fullmatch(version)
    if found is None:
        return None
    release = [int(part) for part in found["release"].split(".")]
    while release and release[-1] == 0:
        release.pop()
    post = found["post_dash"] or (found["post"] and (found["post_number"] or "0"))
    dev = found["dev"] and (found["dev_number"] or "0")
    pre = (_FINAL, 0)
    if found["pre"]:
        pre = (_PRE[found["pre"].lower()], int(found["pre_number"] or 0))
    elif dev is not None and post is None:
        pre = (_BEFORE_PRE, 0)
    return (
        int(found["epoch"] or 0),
        tuple(release),
        pre,
        -1 if post is None else int(post),
        (1, 0) if dev is None else (0, int(dev)),
        _local(found["local"]),
    )


def _local(text: str | None) -> tuple[tuple[int, int, str], ...]:
    # Numbers come after words; nothing at all comes before both.
    return tuple(
        (1, int(part), "") if part.isdigit() else (0, 0, part.lower())
        for part in re.split(r"[-_.]", text or "")
        if part
    )
