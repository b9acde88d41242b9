"""Keys over the admin API: lists, single keys, new values, removal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from durable_app.errors import ConfigError
from durable_app.host.api.exchange import Answer, ApiRequest
from durable_app.host.web.keys import DURABLE_EXTENSION, function_scope

if TYPE_CHECKING:
    from durable_app.host.web.keys import Keys

_NOT_FOUND: Final = Answer(404)
_BAD_VALUE: Final = Answer(400, json.dumps({"Message": "A key is a text without blanks."}))
_KEEPS_MASTER: Final = Answer(403, json.dumps({"Message": "The master key cannot be removed."}))
_NO_CONTENT: Final = Answer(204)
_MASTER_NAME: Final = "_master"  # in URLs and lists
_MASTER: Final = "master"
_HOST: Final = "host"
_SYSTEM: Final = "system"
# Path below host/ -> scope of these keys.
_SCOPES: Final = {"keys": _HOST, "functionkeys": _HOST, "systemkeys": _SYSTEM}


class KeyRoutes:
    """Answers requests for keys."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def is_scope(self, segment: str) -> bool:
        """Whether keys of the host are below ``host/SEGMENT``."""
        return segment in _SCOPES

    def of_host(self, request: ApiRequest, segment: str, rest: tuple[str, ...]) -> Answer:
        """Answer for ``host/SEGMENT`` and what follows."""
        scope = _SCOPES[segment]
        self._keys.host()
        self._keys.system(DURABLE_EXTENSION)
        if tuple(part.casefold() for part in rest) == (_MASTER_NAME,):
            return self._of_master(request)
        shown = {_MASTER_NAME: self._keys.master()} if scope == _SYSTEM else {}
        return self._answer(request, scope, rest, shown)

    def of_function(self, request: ApiRequest, function: str, rest: tuple[str, ...]) -> Answer:
        """Answer for ``functions/NAME/keys`` and what follows."""
        self._keys.function(function)
        return self._answer(request, function_scope(function), rest, {})

    def _of_master(self, request: ApiRequest) -> Answer:
        match request.method:
            case "GET":
                return _shown(200, _MASTER_NAME, self._keys.master())
            case "PUT" | "POST":
                return self._set(request, _MASTER, _MASTER, shown_as=_MASTER_NAME)
            case "DELETE":
                return _KEEPS_MASTER
            case _:
                return _NOT_FOUND

    def _answer(
        self, request: ApiRequest, scope: str, rest: tuple[str, ...], shown: dict[str, str]
    ) -> Answer:
        found = shown | self._keys.list(scope)
        match request.method, rest:
            case "GET", ():
                keys = [_key(name, value) for name, value in found.items()]
                return _json(200, {"keys": keys, "links": []})
            case "GET", (name,):
                value = found.get(name.casefold())
                return _NOT_FOUND if value is None else _shown(200, name, value)
            case "PUT" | "POST", (name,):
                return self._set(request, scope, name)
            case "DELETE", (name,):
                return _NO_CONTENT if self._keys.delete(scope, name) else _NOT_FOUND
            case _:
                return _NOT_FOUND

    def _set(
        self, request: ApiRequest, scope: str, name: str, shown_as: str | None = None
    ) -> Answer:
        # POST makes a new random value, PUT takes the one of its body.
        value = _value(request.body) if request.method == "PUT" else None
        if request.method == "PUT" and value is None:
            return _BAD_VALUE
        is_new = name.casefold() not in self._keys.list(scope)
        try:
            made = self._keys.set(scope, name, value)
        except ConfigError as error:
            return _json(400, {"Message": str(error)})
        return _shown(201 if is_new else 200, shown_as or name, made)


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
