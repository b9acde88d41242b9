"""What users may tune about a worker of their own. Names and defaults are durabletask's."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from durable_app.errors import ConfigError
from durable_app.functions.version_match import VersionMatch
from durable_app.ports import WorkFilter
from durable_app.replay.http import HTTP_ACTIVITY, HTTP_POLLER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from durable_app.functions.index import AppIndex
    from durable_app.functions.version_match import Strategy

_PER_CORE: Final = 100


def _default_slots() -> int:
    return _PER_CORE * (os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class ConcurrencyOptions:
    """How many work items of a kind a worker holds at the same time, each >= 1.

    Sync activities have a thread each, as many as there are activities.
    """

    maximum_concurrent_activity_work_items: int = field(default_factory=_default_slots)
    maximum_concurrent_orchestration_work_items: int = field(default_factory=_default_slots)
    maximum_concurrent_entity_work_items: int = field(default_factory=_default_slots)

    def __post_init__(self) -> None:
        """Raise ConfigError where a number is out of bounds."""
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"ConcurrencyOptions: {name} must be a whole number from 1.")


class VersionMatchStrategy(Enum):
    """Which versions of instances a worker takes."""

    NONE = 1
    STRICT = 2
    CURRENT_OR_OLDER = 3


class VersionFailureStrategy(Enum):
    """What becomes of an instance of another version."""

    REJECT = 1
    FAIL = 2


_STRATEGIES: Final[dict[VersionMatchStrategy, Strategy]] = {
    VersionMatchStrategy.NONE: "None",
    VersionMatchStrategy.STRICT: "Strict",
    VersionMatchStrategy.CURRENT_OR_OLDER: "CurrentOrOlder",
}


@dataclass(frozen=True, slots=True)
class VersioningOptions:
    """Versions of a worker.

    Attributes:
        version: of the worker; None for none.
        default_version: of instances that its orchestrations start without one.
        match_strategy: which instances it takes.
        failure_strategy: what becomes of the others: they wait for another worker, or fail.
    """

    version: str | None = None
    default_version: str | None = None
    match_strategy: VersionMatchStrategy = VersionMatchStrategy.NONE
    failure_strategy: VersionFailureStrategy = VersionFailureStrategy.REJECT

    def match(self) -> VersionMatch:
        """The same as the worker's rule."""
        fails = self.failure_strategy is VersionFailureStrategy.FAIL
        return VersionMatch(self.version, _STRATEGIES[self.match_strategy], fails)


@dataclass(frozen=True, slots=True)
class OrchestrationWorkItemFilter:
    """An orchestration that a worker takes; no versions for all of them."""

    name: str
    versions: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ActivityWorkItemFilter:
    """An activity that a worker takes; no versions for all of them."""

    name: str
    versions: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EntityWorkItemFilter:
    """An entity that a worker takes."""

    name: str


@dataclass(frozen=True, slots=True)
class WorkItemFilters:
    """All that a worker takes; a kind without entries is not taken at all."""

    orchestrations: list[OrchestrationWorkItemFilter] = field(default_factory=list)
    activities: list[ActivityWorkItemFilter] = field(default_factory=list)
    entities: list[EntityWorkItemFilter] = field(default_factory=list)

    def work_filter(self) -> WorkFilter:
        """The same as the hub takes it."""
        return WorkFilter(
            frozenset(each.name for each in self.orchestrations),
            frozenset(each.name for each in self.activities),
            frozenset(each.name.lower() for each in self.entities),
            _versions(self.orchestrations),
            _versions(self.activities),
        )


def filters_of(index: AppIndex) -> WorkItemFilters:
    """What a worker with these functions can run, what ``call_http`` is made of included."""
    return WorkItemFilters(
        [OrchestrationWorkItemFilter(name) for name in (*index.orchestrations, HTTP_POLLER)],
        [ActivityWorkItemFilter(name) for name in (*index.activities, HTTP_ACTIVITY)],
        [EntityWorkItemFilter(name) for name in index.entities],
    )


def _versions(
    filters: Iterable[OrchestrationWorkItemFilter | ActivityWorkItemFilter],
) -> Mapping[str, frozenset[str]]:
    return {each.name: frozenset(each.versions) for each in filters if each.versions}
