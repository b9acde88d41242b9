"""The URLs with which anybody who holds them can watch and steer one instance over HTTP."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote, urlsplit

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
        request_url: str | None = None,
        failure_is_500: bool = False,
    ) -> dict[str, str]:
        """Management payload of one instance: its id and a URL per operation.

        Args:
            request_url: URL of the request that is being answered. Its origin is used, because
                that is the address under which the caller reaches this host.
            failure_is_500: let the status URL answer 500 for a failed instance.
        """
        base = f"{self._base(request_url)}/instances/{quote(instance_id, safe=_SAFE_IN_ID)}"
        urls = {"id": instance_id}
        for key, path, own_query in _LINKS:
            query = f"{own_query}&{self._query}" if own_query else self._query
            urls[key] = f"{base}{path}?{query}"
        if failure_is_500:
            urls["statusQueryGetUri"] += "&returnInternalServerErrorOnFailure=true"
        return urls

    def binding(self) -> dict[str, Any]:
        """What the Functions host passes to a durable client binding, as a JSON-ready dict."""
        base = self._base(None)
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

    def _base(self, request_url: str | None) -> str:
        if request_url:
            parts = urlsplit(request_url)
            if parts.scheme and parts.netloc:
                return f"{parts.scheme}://{parts.netloc}{WEBHOOK_PATH}"
        return f"{self._origin}{WEBHOOK_PATH}"


# Legal in a path segment; a readable id stays readable in its URL.
_SAFE_IN_ID: Final = ":@!$'()*+,;=~{}"
