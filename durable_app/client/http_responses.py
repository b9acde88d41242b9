"""HTTP answers of functions that start or watch an instance: what both clients have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable_app.client.arguments import text
from durable_app.client.forwarded import public_origin
from durable_app.payload import to_text

if TYPE_CHECKING:
    from azure.functions import HttpRequest, HttpResponse

    from durable_app.client.connection import Connection
    from durable_app.client.management import HttpManagementPayload


class HttpResponses:
    """Makes management payloads and answers of one task hub; nothing here waits."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def task_hub_name(self) -> str:
        """Name of the task hub."""
        return self._connection.task_hub

    def create_check_status_response(
        self,
        request: HttpRequest,
        instance_id: str,
        return_internal_server_error_on_failure: bool = False,
    ) -> HttpResponse:
        """Answer of an asynchronous HTTP API: 202, where to look, and the management URLs.

        Args:
            return_internal_server_error_on_failure: let the status URL answer 500 for a failed
                instance.
        """
        links = self._links(request, instance_id, return_internal_server_error_on_failure)
        headers = {"Location": links["statusQueryGetUri"], "Retry-After": "10"}
        return json_response(202, links, headers)

    def create_http_management_payload(
        self,
        request: HttpRequest | str | None = None,
        instance_id: str | None = None,
        return_internal_server_error_on_failure: bool = False,
    ) -> HttpManagementPayload:
        """Management URLs of an instance.

        Args:
            request: the URLs are under the address that it came to. Without one, as in
                ``create_http_management_payload(instance_id)``, under the host's own.
            return_internal_server_error_on_failure: as in create_check_status_response.
        """
        if isinstance(request, str):
            if instance_id is not None:
                raise TypeError("request must be the HTTP request, not a str.")
            request, instance_id = None, request
        if instance_id is None:
            raise TypeError("instance_id is required.")
        return self._links(request, instance_id, return_internal_server_error_on_failure)

    def get_client_response_links(
        self, request: HttpRequest | None, instance_id: str
    ) -> HttpManagementPayload:
        """Management URLs of an instance, under the address that ``request`` came to."""
        return self._links(request, instance_id, failure_is_500=False)

    def _links(
        self, request: HttpRequest | None, instance_id: str, failure_is_500: bool
    ) -> HttpManagementPayload:
        connection = self._connection
        origin = None
        if request is not None:
            origin = public_origin(
                request.url, request.headers, trust_forwarded=connection.trust_forwarded
            )
        return connection.urls.links(
            text(instance_id, "instance_id"), origin=origin, failure_is_500=failure_is_500
        )


def json_response(
    status_code: int, body: Any, headers: dict[str, str] | None = None
) -> HttpResponse:
    """Answer with a JSON body; a text is a body already."""
    # azure.functions is imported when it is first needed: a client outside of a host may not.
    from azure.functions import HttpResponse  # noqa: PLC0415  as said above

    return HttpResponse(
        body if isinstance(body, str) else to_text(body),
        status_code=status_code,
        mimetype="application/json",
        headers={"Content-Type": "application/json", **(headers or {})},
    )
