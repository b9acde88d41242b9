"""What the keywords of clients and workers mean for the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict

from durable_app.compose.extras import needs_grpc
from durable_app.connection.connection_string import choose_task_hub, parse_connection_string
from durable_app.connection.endpoint import GRPC_PORT, parse_endpoint, require_encryption
from durable_app.connection.target import HubTarget
from durable_app.foreign_names import INSTEAD_OF_KEYWORDS
from durable_app.functions.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from durable_app.compose.remote import Tuning
    from durable_app.connection.options import (
        GrpcChannelOptions,
        GrpcClientResiliencyOptions,
        GrpcWorkerResiliencyOptions,
    )


_EXAMPLE: Final = "Endpoint=http://localhost:8080;TaskHub=default;Authentication=None"


class ChannelKeywords(TypedDict, total=False):
    """Further keywords of clients and workers.

    Attributes:
        secure_channel: whether an address without a scheme is reached over TLS; True.
        resource_id: audience of access tokens; the service's own.
        channel: of the caller, from ``grpc`` or ``grpc.aio``; never replaced or closed.
        channel_options: of a channel that is made here.
        interceptors: of ``grpc`` or of ``grpc.aio``, for a channel that is made here.
        emit_trace_spans: tell the program's TracerProvider of OpenTelemetry, if it has one; True.
    """

    secure_channel: bool
    resource_id: str | None
    channel: Any
    channel_options: GrpcChannelOptions | None
    interceptors: Sequence[Any] | None
    emit_trace_spans: bool


def target_of_address(
    address: str | None,
    task_hub: str,
    options: ChannelKeywords,
    credential: Any,
    environ: Mapping[str, str],
) -> HubTarget:
    """The hub at an address.

    Args:
        address: None for the usual port of this machine.
        task_hub: "" for TASKHUB_NAME, or ``default`` on this machine.

    Raises:
        ConfigError: it is no address, or names no hub; an access token would travel in the clear.
    """
    text = address or f"http://localhost:{GRPC_PORT}"
    encrypted = options.get("secure_channel", True)
    endpoint = parse_endpoint(text, "host_address", encrypted=encrypted)
    if credential is not None and options.get("channel") is None:
        require_encryption(endpoint, "token_credential")
    return HubTarget(endpoint, choose_task_hub(task_hub, None, endpoint, environ))


def keywords_of_text(
    text: str, task_hub: str, credential: Any, environ: Mapping[str, str]
) -> dict[str, Any]:
    """The keywords of a client or a worker that a connection string stands for.

    Args:
        task_hub: wins over that of the text, unless "".
        credential: wins over its Authentication, unless None.

    Raises:
        ConfigError: it is none, or names no hub; azure-identity is not installed, or refuses.
        TypeError: it is no text.
    """
    if not isinstance(text, str):
        # What os.environ.get() gives where nobody has set the variable.
        raise TypeError(
            f"a connection string is a text such as {_EXAMPLE}, not {type(text).__name__}."
        )
    parsed = parse_connection_string(text, "connection string")
    name = choose_task_hub(task_hub, parsed, parsed.endpoint, environ)
    if credential is None:
        with needs_grpc():
            from durable_app.rpc.credentials import make_credential
        credential = make_credential(parsed.authentication)
    return {
        "host_address": parsed.endpoint.authority,
        "taskhub": name,
        "token_credential": credential,
        "resource_id": parsed.authentication.resource_id,
    }


def tuning_of(
    options: ChannelKeywords,
    credential: Any,
    *,
    client: GrpcClientResiliencyOptions | None = None,
    worker: GrpcWorkerResiliencyOptions | None = None,
) -> Tuning:
    """The same as the connection takes it.

    Raises:
        ConfigError: gRPC is not installed.
        TypeError: a keyword that there is not, with what to do instead.
    """
    with needs_grpc():
        from durable_app.compose.remote import Tuning
    _check_keywords(options)
    return Tuning(
        credential,
        options.get("resource_id"),
        options.get("channel"),
        options.get("channel_options"),
        client,
        worker,
        tuple(options.get("interceptors") or ()),
    )


def _check_keywords(options: Mapping[str, Any]) -> None:
    known = ChannelKeywords.__annotations__
    for name, value in options.items():
        advice = INSTEAD_OF_KEYWORDS.get(name)
        # Their default, passed on by code that was written for durabletask, asks for nothing.
        if name in known or (advice is not None and value is None):
            continue
        hint = f".{did_you_mean(name, known)}" if advice is None else f": {advice}."
        raise TypeError(f"unexpected keyword argument '{name}'{hint}")
