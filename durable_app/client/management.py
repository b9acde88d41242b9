"""The URLs with which anybody who holds them can watch and steer one instance over HTTP."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote

WEBHOOK_PATH: Final = "/runtime/webhooks/durabletask"
#: Stands for the instance id in the payload that the durable client binding carries.
ID_PLACEHOLDER: Final = "INSTANCEID"

# Key of the payload -> (path below the instance, query of its own).
_LINKS: Final = (
    ("statusQueryGetUri", "", ""),
    ("sendEventPostUri", "/raiseEvent/{eventName}", ""),
    ("terminatePostUri", "/terminate", "reason={text}"),
    ("rewindPostUri", "/rewind", "reason={text}"),
    ("purgeHistoryDeleteUri", "", ""),
    ("restartPostUri", "/restart", ""),
    ("suspendPostUri", "/suspend", "reason={text}"),
    ("resumePostUri", "/resume", "reason={text}"),
)


class HttpManagementPayload(dict[str, str]):
    """The id of an instance and a URL per operation; as text it is JSON.

    Keys: ``id``, ``statusQueryGetUri``, ``sendEventPostUri`` (with ``{eventName}`` to replace),
    ``terminatePostUri``, ``rewindPostUri``, ``suspendPostUri`` and ``resumePostUri`` (with
    ``{text}``, the reason), ``restartPostUri``, ``purgeHistoryDeleteUri``.
    """

    def __str__(self) -> str:
        return json.dumps(self)

    @property
    def urls(self) -> dict[str, str]:
        """The same as a plain dict."""
        return dict(self)

    def to_json(self) -> dict[str, str]:
        """The same as a plain dict."""
        return dict(self)


class ManagementUrls:
    """Builds management URLs for one task hub behind one host.

    Args:
        origin: scheme and authority of the host, such as ``http://localhost:7071``.
        task_hub: name of the hub; part of every query.
        connection: name of the setting that holds the hub's connection string.
        code: key of the webhook; None where the host asks for none.
    """

    def __init__(
        self, origin: str, task_hub: str, connection: str = "Storage", code: str | None = None
    ) -> None:
        self._origin = origin.rstrip("/")
        query = f"taskHub={quote(task_hub, safe='')}&connection={quote(connection, safe='')}"
        self._required_query = "" if code is None else f"code={quote(code, safe='')}"
        self._query = f"{query}&{self._required_query}" if self._required_query else query
        self._task_hub = task_hub

    def links(
        self,
        instance_id: str,
        *,
        origin: str | None = None,
        failure_is_500: bool = False,
    ) -> HttpManagementPayload:
        """Management payload of one instance: its id and a URL per operation.

        Args:
            origin: the address under which the caller reaches this host, as
                :func:`durable_app.client.forwarded.public_origin` gives it; None or "" for the
                host's own.
            failure_is_500: let the status URL answer 500 for a failed instance.
        """
        base = f"{origin or self._origin}{WEBHOOK_PATH}"
        base = f"{base}/instances/{quote(instance_id, safe=_SAFE_IN_ID)}"
        urls = HttpManagementPayload(id=instance_id)
        for key, path, own_query in _LINKS:
            query = f"{own_query}&{self._query}" if own_query else self._query
            urls[key] = f"{base}{path}?{query}"
        if failure_is_500:
            urls["statusQueryGetUri"] += "&returnInternalServerErrorOnFailure=true"
        return urls

    def binding(self) -> dict[str, Any]:
        """What the Functions host passes to a durable client binding, as a JSON-ready dict."""
        base = f"{self._origin}{WEBHOOK_PATH}"
        creation = f"{base}/orchestrators/{{functionName}}[/{{instanceId}}]"
        wait = "?timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}"
        code = self._required_query
        return {
            "taskHubName": self._task_hub,
            "connectionName": None,
            "creationUrls": {
                "createNewInstancePostUri": creation + (f"?{code}" if code else ""),
                "createAndWaitOnNewInstancePostUri": creation + wait + (f"&{code}" if code else ""),
            },
            "managementUrls": self.links(ID_PLACEHOLDER),
            "baseUrl": base,
            "requiredQueryStringParameters": code,
            "rpcBaseUrl": f"{base}/",
            "httpBaseUrl": None,
            "maxGrpcMessageSizeInBytes": None,
            "grpcHttpClientTimeout": None,
        }


# Legal in a path segment; a readable id stays readable in its URL.
_SAFE_IN_ID: Final = ":@!$'()*+,;=~{}"
