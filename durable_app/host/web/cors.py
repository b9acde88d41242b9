"""Which pages of other sites may call this host, and the headers that tell their browsers so.

Source: the CORS protocol of the Fetch standard, with the answers of ASP.NET Core: any method and
any header of an allowed origin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from durable_app.errors import ConfigError

_ANY: Final = "*"
_ORIGIN: Final = "origin"
_WANTED_METHOD: Final = "access-control-request-method"
_WANTED_HEADERS: Final = "access-control-request-headers"


class CorsPolicy(NamedTuple):
    """Allowed origins; without any, no CORS header is ever sent.

    Attributes:
        origins: lower case, without a slash at the end; ``*`` for all.
        credentials: browsers may send cookies and logins along.
    """

    origins: frozenset[str] = frozenset()
    credentials: bool = False

    def allows(self, origin: str | None) -> bool:
        """Whether pages of this origin may call."""
        return origin is not None and (
            _ANY in self.origins or origin.casefold().rstrip("/") in self.origins
        )

    def names(self, origin: str | None) -> bool:
        """Whether this very origin is allowed, not just every one."""
        return origin is not None and origin.casefold().rstrip("/") in self.origins - {_ANY}

    def is_preflight(self, method: str, headers: Mapping[str, str]) -> bool:
        """Whether a browser asks what it may do, so that no function shall see the request.

        Args:
            headers: by lower-case name.
        """
        return (
            bool(self.origins)
            and method == "OPTIONS"
            and _ORIGIN in headers
            and _WANTED_METHOD in headers
        )

    def preflight(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers of the answer to a browser's question; none of CORS for other origins."""
        found = self.answer(headers)
        if "Access-Control-Allow-Origin" in found:
            found["Access-Control-Allow-Methods"] = headers[_WANTED_METHOD]
            if _WANTED_HEADERS in headers:
                found["Access-Control-Allow-Headers"] = headers[_WANTED_HEADERS]
        return found

    def answer(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers of any other answer.

        Args:
            headers: of the request, by lower-case name.
        """
        if not self.origins:
            return {}
        # With "*" and no credentials every caller gets the same answer, which caches may share.
        if _ANY in self.origins and not self.credentials:
            return {"Access-Control-Allow-Origin": _ANY} if _ORIGIN in headers else {}
        found = {"Vary": "Origin"}
        origin = headers.get(_ORIGIN)
        if origin is not None and self.allows(origin):
            # Browsers refuse "*" together with credentials: the origin itself is sent.
            found["Access-Control-Allow-Origin"] = origin
            if self.credentials:
                found["Access-Control-Allow-Credentials"] = "true"
        return found


#: Nothing of CORS is said to anybody.
NO_CORS: Final = CorsPolicy()


def cors_policy(origins: Iterable[str] | str, *, credentials: bool = False) -> CorsPolicy:
    """The policy of ``--cors`` and ``Host.CORS``.

    Args:
        origins: such as ``http://localhost:3000``; a text, or each of several, may hold a comma
            separated list.

    Raises:
        ConfigError: an origin has no scheme or has a path, so that no browser would ever send it.
    """
    texts = [origins] if isinstance(origins, str) else origins
    found = [part.strip().rstrip("/") for text in texts for part in text.split(",")]
    for origin in filter(None, found):
        scheme, separator, authority = origin.partition("://")
        if origin != _ANY and not (scheme and separator and authority and "/" not in authority):
            raise ConfigError(
                f"CORS: '{origin}' is no origin. Write scheme, name and port, such as"
                " http://localhost:3000, or * for all."
            )
    return CorsPolicy(frozenset(o.casefold() for o in found if o), credentials)
