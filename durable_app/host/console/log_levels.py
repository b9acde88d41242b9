"""Which log lines are shown: ``logging.logLevel`` of host.json, as the Functions host reads it.

Categories are names with dots: ``Function.NAME`` for what the host says about a function,
``Function.NAME.User`` for what its code logs, ``Host.…`` and ``Worker.…`` for the host itself.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What user code prints, as the Functions host names it.
CONSOLE_CATEGORY: Final = "Host.Function.Console"
#: What user code logs while no function runs: when its modules are imported, in own threads.
NO_FUNCTION_CATEGORY: Final = "Function.User"
_SYSTEM_PREFIXES: Final = ("host.", "worker.", "microsoft.azure.webjobs.", "durabletask.")
_CI_VARIABLES: Final = ("CI", "TF_BUILD", "GITHUB_ACTIONS", "GITLAB_CI", "TEAMCITY_VERSION")
_OFF: Final = frozenset({"", "0", "false"})


class Level(IntEnum):
    """Levels of .NET's logging."""

    TRACE = 0
    DEBUG = 1
    INFORMATION = 2
    WARNING = 3
    ERROR = 4
    CRITICAL = 5
    NONE = 6

    @property
    def of_python(self) -> int:
        """The lowest level of Python's ``logging`` that this one lets through."""
        return max(1, self * 10)


_BY_NAME: Final = {level.name.casefold(): level for level in Level}


def level_named(name: str) -> Level | None:
    """The level of that name in any case; None where there is none."""
    return _BY_NAME.get(name.casefold())


def is_ci(environ: Mapping[str, str]) -> bool:
    """Whether a build server runs this, for whose logs the host says more."""
    return any(environ.get(name, "").casefold() not in _OFF for name in _CI_VARIABLES)


class _Rule(NamedTuple):
    """``prefix`` and ``suffix``: what stands around the one ``*`` of a pattern, in lower case."""

    prefix: str
    suffix: str | None
    level: Level

    @classmethod
    def of(cls, pattern: str, level: Level) -> _Rule:
        prefix, star, suffix = pattern.casefold().partition("*")
        return cls(prefix if star else prefix.rstrip("."), suffix if star else None, level)

    @property
    def length(self) -> int:
        return len(self.prefix) + len(self.suffix or "")

    @property
    def is_for_users(self) -> bool:
        """Whether it names what user code writes, not a function or everything."""
        whole = self.prefix if self.suffix is None else self.suffix
        return whole.endswith(".user") or whole == CONSOLE_CATEGORY.casefold()

    @property
    def may_match_users(self) -> bool:
        return self.prefix.startswith("function") or not self.prefix

    def matches(self, category: str) -> bool:
        if self.suffix is None:
            return category == self.prefix or category.startswith(f"{self.prefix}.")
        return (
            len(category) >= self.length
            and category.startswith(self.prefix)
            and category.endswith(self.suffix)
        )


class LogLevels:
    """Which lines are shown, by category; the longest matching rule decides.

    Args:
        rules: ``logging.logLevel`` of host.json; a category may have one ``*``, its case does not
            matter, names of levels that do not exist count as absent. ``default`` sets both the
            system's categories (otherwise Warning) and the functions' (otherwise Information).
        verbose: show everything from Information on that no rule of its own silences.
        is_ci: show the system's categories from Information on, unless ``default`` is set.
        user_level: of what user code logs and prints (``--user-log-level``,
            ``FUNCTIONS_USER_LOG_LEVEL``), in place of ``default`` and of rules for whole
            functions; a rule that ends in ``.User`` still wins.
        is_enabled: ``logging.console.isEnabled``; False hides every category.
    """

    def __init__(
        self,
        rules: Mapping[str, str],
        *,
        verbose: bool = False,
        is_ci: bool = False,
        user_level: str | None = None,
        is_enabled: bool = True,
    ) -> None:
        known = {
            category.casefold(): level
            for category, name in rules.items()
            if (level := level_named(name)) is not None
        }
        default = known.pop("default", None)
        quiet = Level.INFORMATION if is_ci else Level.WARNING
        self._system = quiet if default is None else default
        self._functions = Level.INFORMATION if default is None else default
        if verbose:
            self._system = min(self._system, Level.INFORMATION)
            self._functions = min(self._functions, Level.INFORMATION)
        self._user = None if user_level is None else level_named(user_level)
        made = [_Rule.of(category, level) for category, level in known.items()]
        self._rules = sorted(made, key=lambda rule: -rule.length)
        self._is_enabled = is_enabled
        self._cache: dict[str, Level] = {}

    def threshold(self, category: str) -> Level:
        """Lowest level of the category that is shown."""
        level = self._cache.get(category)
        if level is None:
            level = self._cache[category] = self._find(category.casefold())
        return level

    def lowest_of_users(self) -> Level:
        """Lowest level at which any user code is shown."""
        found = [rule.level for rule in self._rules if rule.may_match_users]
        default = self._functions if self._user is None else self._user
        return min([default, *found])

    def lowest_below(self, category: str) -> Level:
        """Lowest level of a category and of those below it."""
        start = f"{category.casefold()}."
        found = [rule.level for rule in self._rules if rule.prefix.startswith(start)]
        return min([self.threshold(category), *found])

    def _find(self, category: str) -> Level:
        if not self._is_enabled:
            return Level.NONE
        is_console = category == CONSOLE_CATEGORY.casefold()
        is_user = is_console or category.endswith(".user")
        for rule in self._rules:
            if rule.matches(category) and (self._user is None or not is_user or rule.is_for_users):
                return rule.level
        if is_user:
            return self._functions if self._user is None else self._user
        return self._system if category.startswith(_SYSTEM_PREFIXES) else self._functions
