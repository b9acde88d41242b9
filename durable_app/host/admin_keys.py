"""Keys over the admin API: lists, single keys, new values, removal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Protocol

from durable_app.host.exchange import Answer, ApiRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOT_FOUND: Final = Answer(404)
_BAD_REQUEST: Final = Answer(400, json.dumps({"Message": "A key value is a text without blanks."}))
_NO_CONTENT: Final = Answer(204)
MASTER: Final = "_master"
HOST_SCOPE: Final = "host"
SYSTEM_SCOPE: Final = "system"
# Path below host/ -> where these keys are kept.
_SCOPES: Final = {"keys": HOST_SCOPE, "functionkeys": HOST_SCOPE, "systemkeys": SYSTEM_SCOPE}


class Keys(Protocol):
    """Where keys are kept: by scope (``host``, ``system``, ``function:NAME``) and name."""

    def list(self, scope: str) -> Mapping[str, str]:
        """Values by name."""
        ...

    def set(self, scope: str, name: str, value: str | None) -> str:
        """Give a key a value, None for a random one; what it is now."""
        ...

    def delete(self, scope: str, name: str) -> bool:
        """Remove a key; whether there was one."""
        ...


class KeyRoutes:
    """Answers requests for the keys of one scope."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def is_scope(self, segment: str) -> bool:
        """Whether keys of the host are below ``host/SEGMENT``."""
        return segment in _SCOPES

    def of_host(self, request: ApiRequest, segment: str, rest: tuple[str, ...]) -> Answer:
        """Answer for ``host/SEGMENT`` and what follows."""
        name = rest[0] if rest else None
        master = name is not None and name.casefold() == MASTER
        return self._answer(request, SYSTEM_SCOPE if master else _SCOPES[segment], rest)

    def of_function(self, request: ApiRequest, function: str, rest: tuple[str, ...]) -> Answer:
        """Answer for ``functions/NAME/keys`` and what follows."""
        return self._answer(request, f"function:{function}", rest)

    def _answer(self, request: ApiRequest, scope: str, rest: tuple[str, ...]) -> Answer:
        match request.method, rest:
            case "GET", ():
                keys = [_key(name, value) for name, value in self._keys.list(scope).items()]
                return _json(200, {"keys": keys, "links": []})
            case "GET", (name,):
                found = self._keys.list(scope).get(name)
                return _NOT_FOUND if found is None else _shown(200, name, found)
            case "PUT" | "POST", (name,):
                return self._set(request, scope, name)
            case "DELETE", (name,):
                if name == MASTER:
                    return _json(403, {"Message": "The master key cannot be removed."})
                return _NO_CONTENT if self._keys.delete(scope, name) else _NOT_FOUND
            case _:
                return _NOT_FOUND

    def _set(self, request: ApiRequest, scope: str, name: str) -> Answer:
        # POST makes a new random value, PUT takes the one of its body.
        value = _value(request.body) if request.method == "PUT" else None
        if request.method == "PUT" and value is None:
            return _BAD_REQUEST
        is_new = name not in self._keys.list(scope)
        return _shown(201 if is_new else 200, name, self._keys.set(scope, name, value))


def _value(body: bytes) -> str | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    value = found.get("value") if isinstance(found, dict) else None
    usable = isinstance(value, str) and value and not any(c.isspace() for c in value)
    return value if usable else None


def _key(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "value": value}


def _shown(status: int, name: str, value: str) -> Answer:
    return _json(status, {**_key(name, value), "links": []})


def _json(status: int, value: Any) -> Answer:
    return Answer(status, json.dumps(value))
