"""Who may call what: sites, names of this host, keys.

Functions are open to every site and name, as in Azure; CORS decides what browsers let pages read.
The host's own APIs (management, admin) are not: a hostile page in a developer's browser can send
requests to local ports, so what such a page sends is refused.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from durable_app.host.config.hub_choice import is_allowed_host
from durable_app.host.web.cors import NO_CORS, CorsPolicy
from durable_app.host.web.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_HEADER: Final = "x-functions-key"
KEY_PARAMETER: Final = "code"


@dataclasses.dataclass(frozen=True)
class Access:
    """Rules of one host.

    Attributes:
        address: that it listens on.
        hosts: more names of it, of ``allowed_hosts``.
        keys: None where no key is demanded.
    """

    address: str = "127.0.0.1"
    hosts: frozenset[str] = frozenset()
    cors: CorsPolicy = NO_CORS
    keys: Keys | None = None

    def opens(self, level: str | None, name: str, presented: str | None) -> bool:
        """Whether a request may go on; arguments as of ``Keys.accepts``."""
        return self.keys is None or self.keys.accepts(level, name, presented)

    def refusal(self, headers: Mapping[str, str]) -> str | None:
        """Why a request to one of the host's own APIs is refused; None where it is not.

        The name in Host is checked because a hostile page can let its own name point to this
        machine; the browser then takes our answers for its own (DNS rebinding). Of other sites
        those alone may call that CORS names: ``*`` is meant for functions, not for keys and purges.

        Args:
            headers: by lower-case name.
        """
        host = headers.get("host", "")
        if not is_allowed_host(host, self.address, self.hosts):
            return (
                f"Host '{host}' is not served here. Use localhost, start with --address, or name"
                " it in DURABLE_APP_ALLOWED_HOSTS."
            )
        origin = headers.get("origin")
        if self.cors.names(origin):
            return None
        if origin is not None and _authority(origin) != host.casefold():
            return f"Requests from {origin} are refused here. Name this origin in --cors."
        if headers.get("sec-fetch-site", "").casefold() == "cross-site":
            return "Requests from other sites are refused here. Name their origin in --cors."
        return None


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.casefold()
    except ValueError:
        return ""
