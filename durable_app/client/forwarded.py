"""The address under which a caller reaches this host, possibly through a proxy.

Whoever writes a forwarding header decides where the links of an answer lead. So these headers
count only where the operator says that a proxy of theirs sets them (``useForwardedHost``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEMES: Final = frozenset({"http", "https"})
# A name, an IPv4 address or a bracketed IPv6 address, with or without a port.
_AUTHORITY: Final = re.compile(r"(?:[\w.~-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?", re.ASCII)
# Segments that survive unchanged wherever the URL is used.
_PREFIX: Final = re.compile(r"(?:/[\w.~!$&'()*+,;=:@%-]+)+/?", re.ASCII)
_PAIR: Final = re.compile(r'\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([^\s;,"]*))\s*', re.ASCII)


def public_origin(url: str, headers: Mapping[str, str], *, trust_forwarded: bool) -> str:
    """Scheme, authority and path prefix with which the links of an answer begin.

    Args:
        url: of the request, absolute, as this host saw it.
        headers: of the request; looked up by lower-case name.
        trust_forwarded: let ``Forwarded``, then ``X-Forwarded-Proto``, ``X-Forwarded-Host`` and
            ``X-Forwarded-Prefix`` replace what ``url`` says. Of a chain of proxies the outermost
            counts; a value that cannot be part of a URL is ignored.

    Returns:
        Such as ``https://shop.example/durable``, without a slash at its end; "" where neither the
        URL nor a header tells it.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if not (parts.scheme and parts.netloc):
        return ""
    scheme, authority, prefix = parts.scheme, parts.netloc, ""
    if trust_forwarded:
        standard = _forwarded(headers.get("forwarded") or "")
        wanted_scheme = _first(standard.get("proto"), headers.get("x-forwarded-proto")).lower()
        wanted_host = _first(standard.get("host"), headers.get("x-forwarded-host"))
        wanted_prefix = _first(None, headers.get("x-forwarded-prefix"))
        scheme = wanted_scheme if wanted_scheme in _SCHEMES else scheme
        authority = wanted_host if _AUTHORITY.fullmatch(wanted_host) else authority
        prefix = wanted_prefix.rstrip("/") if _is_prefix(wanted_prefix) else ""
    return f"{scheme}://{authority}{prefix}"


def _first(standard: str | None, several: str | None) -> str:
    """The value of ``Forwarded``, else the first one of a comma-separated header."""
    return standard or (several or "").split(",", 1)[0].strip()


def _is_prefix(path: str) -> bool:
    return bool(_PREFIX.fullmatch(path)) and not {".", ".."} & set(path.split("/"))


def _forwarded(text: str) -> dict[str, str]:
    """Parameters of the first element of a ``Forwarded`` header, by lower-case name (RFC 7239)."""
    found: dict[str, str] = {}
    position = 0
    while pair := _PAIR.match(text, position):
        name, quoted, token = pair.groups()
        found.setdefault(name.lower(), token if quoted is None else quoted)
        position = pair.end()
        if text[position : position + 1] != ";":
            break
        position += 1
    return found
