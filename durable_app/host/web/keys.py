"""Keys that callers present under ``--enableAuth``, as Azure has them.

    master              opens everything
    host, "default"     opens every function of level FUNCTION
    function, "default" opens that one function
    system, NAME        opens the webhook of an extension (``durabletask_extension``)

A key is made when it is first needed, written once, and stays the same from then on. Nothing
here, and nobody who calls this, writes a key to a log.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from typing import TYPE_CHECKING, Final, Literal

from durable_app.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from durable_app.host.state import HostState

#: What a caller needs: nothing, a key of the function, a key of an extension, the master key.
AuthLevel = Literal["ANONYMOUS", "FUNCTION", "SYSTEM", "ADMIN"]

#: Name of the key that is made by itself.
DEFAULT: Final = "default"
#: System key of the durable management API.
DURABLE_EXTENSION: Final = "durabletask_extension"
_KIND: Final = "key"
_BYTES: Final = 40
_MASTER: Final = "master"
_HOST: Final = "host"
_SYSTEM: Final = "system"
_FUNCTION: Final = "function:"


class Keys:
    """All keys of one host, by scope and name. Callable from any thread.

    A scope is ``master``, ``host``, ``system`` or ``function:NAME``. The case of scopes and names
    does not matter.

    Raises:
        StoreUnavailableError: (every method that writes, too) the state cannot be used.
    """

    def __init__(self, state: HostState) -> None:
        self._state = state
        self._lock = threading.Lock()
        # A copy, so that a request costs no read of the disk; this object alone writes keys.
        self._values = state.all_of(_KIND)

    def master(self) -> str:
        """The key that opens everything."""
        return self._get(_MASTER, _MASTER)

    def host(self, name: str = DEFAULT) -> str:
        """A key that opens every function."""
        return self._get(_HOST, name)

    def system(self, name: str) -> str:
        """The key of an extension's webhook."""
        return self._get(_SYSTEM, name)

    def function(self, function: str, name: str = DEFAULT) -> str:
        """A key that opens one function."""
        return self._get(function_scope(function), name)

    def make(self, functions: Iterable[str]) -> None:
        """Make the keys that open these functions, so that their users can be given them."""
        self.master()
        self.host()
        for function in functions:
            self.function(function)

    def list(self, scope: str) -> dict[str, str]:
        """The keys of a scope by name, without those that nobody has needed yet."""
        prefix = _path(scope, "")
        with self._lock:
            return {
                path.removeprefix(prefix): value
                for path, value in sorted(self._values.items())
                if path.startswith(prefix)
            }

    def all(self) -> dict[str, str]:
        """Every key by scope and name (``host/default``), without those that nobody has needed."""
        with self._lock:
            return dict(sorted(self._values.items()))

    def set(self, scope: str, name: str, value: str | None = None) -> str:
        """Put a key in, in place of an earlier one; what it is now.

        Args:
            value: None for a new random one.

        Raises:
            ConfigError: the name or the value is empty, or the name has a slash.
        """
        if not name or "/" in name:
            raise ConfigError("A key needs a name without slashes.")
        if value is not None and not value:
            raise ConfigError(f"Key '{name}' needs a value; leave it out for a random one.")
        path = _path(scope, name)
        key = secrets.token_urlsafe(_BYTES) if value is None else value
        with self._lock:
            self._state.write(_KIND, path, key)
            self._values[path] = key
        return key

    def delete(self, scope: str, name: str) -> bool:
        """Remove a key; False where there is none. A default key is made anew when needed."""
        path = _path(scope, name)
        with self._lock:
            if path not in self._values:
                return False
            self._state.delete(_KIND, path)
            del self._values[path]
        return True

    def accepts(self, level: str | None, name: str | None, presented: str | None) -> bool:
        """Whether a key opens what needs this level.

        Args:
            level: an :data:`AuthLevel`; None, as what is unknown, is treated as FUNCTION.
            name: of the function; for SYSTEM, of the system key.
            presented: by the caller; None or empty where there is none.
        """
        if level == "ANONYMOUS":
            return True
        if not presented:
            return False
        given = presented.encode(errors="surrogateescape")
        opens = False
        # All candidates are compared, the right one as long as the wrong ones: the time that it
        # takes tells nothing about which, or how much, of a key was right.
        for key in self._candidates(level, name or ""):
            opens |= hmac.compare_digest(given, key.encode())
        return opens

    def _candidates(self, level: str | None, name: str) -> tuple[str, ...]:
        if level == "ADMIN":
            return (self.master(),)
        if level == "SYSTEM":
            return (self.master(), self.system(name))
        self.host()
        self.function(name)
        return (
            self.master(),
            *self.list(_HOST).values(),
            *self.list(function_scope(name)).values(),
        )

    def _get(self, scope: str, name: str) -> str:
        path = _path(scope, name)
        found = self._values.get(path)
        if found is None:
            with self._lock:
                found = self._state.write_if_absent(_KIND, path, secrets.token_urlsafe(_BYTES))
                self._values[path] = found
        return found


def function_scope(function: str) -> str:
    """The scope of a function's own keys."""
    return f"{_FUNCTION}{function}"


def _path(scope: str, name: str) -> str:
    return f"{scope}/{name}".casefold()
