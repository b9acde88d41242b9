"""What to do where a task hub does not let in who calls: one text for clients and for workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from durable_app.connection.authentication import AuthenticationKind

if TYPE_CHECKING:
    from durable_app.connection.endpoint import Endpoint

#: Setting with the bearer token that a hub of one's own demands, for the hub and its callers.
TOKEN_SETTING: Final = "DURABLE_APP_HUB_TOKEN"  # noqa: S105  the name of a setting
_ROLE: Final = (
    "the identity needs the role 'Durable Task Data Contributor' on the scheduler or on the task"
    " hub (a new assignment takes minutes to work), and the scheduler's IP allow list must hold the"
    " address of this machine."
)


def not_authenticated(endpoint: Endpoint, kind: AuthenticationKind | None = None) -> str:
    """What to do about UNAUTHENTICATED: sentences.

    Args:
        endpoint: that was called.
        kind: how the caller signs in; None where that is not known, a caller's own credential too.
    """
    is_own = not endpoint.is_azure and kind in {None, AuthenticationKind.NONE}
    if not is_own:
        return (
            "Check Authentication in the connection string, or the credential, and that it signs in"
            " to the tenant of the scheduler."
        )
    text = (
        f"Set {TOKEN_SETTING} to the token that the hub was started with, with Authentication=None"
        " in the connection string."
    )
    if endpoint.is_encrypted:
        return text
    return (
        f"{text} It is sent over https:// only: start the hub with --tls-cert and --tls-key, and"
        f" use https://{endpoint.target}."
    )


def not_permitted(endpoint: Endpoint) -> str:
    """What to do about PERMISSION_DENIED: a sentence."""
    if endpoint.is_azure:
        return f"{_ROLE[0].upper()}{_ROLE[1:]}"
    # A hub of this package knows no roles.
    return f"A proxy on the way may refuse; behind one that leads to Azure, {_ROLE}"
