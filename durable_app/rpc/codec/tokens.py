"""Completion tokens as texts: a hub's own ones, and foreign ones that a worker only hands back."""

from __future__ import annotations

from typing import Final, Protocol

from durable_app.protocol import CompletionToken

_UNKNOWN: Final = -1
"""Nonce of a token that no hub has handed out."""


class Tokens(Protocol):
    """How tokens are written down."""

    def text(self, token: CompletionToken) -> str:
        """The token as it travels."""
        ...

    def token(self, text: str) -> CompletionToken:
        """The token of a text; of any text, so that whoever knows the tokens can drop it."""
        ...


class OpaqueTokens:
    """A worker's view: the text is all there is to a token, whichever hub has made it."""

    def text(self, token: CompletionToken) -> str:
        """The text that came with the item."""
        return token.target

    def token(self, text: str) -> CompletionToken:
        """Keeps the text as it is."""
        return CompletionToken(text, _UNKNOWN)


class HubTokens:
    """A hub's view: a result for another run of the hub, or for another hub, finds nothing.

    Workers reconnect by themselves and bring results of items that the run before has handed out;
    numbers alone could mean an item of today.

    Args:
        run: text without a colon that no other hub or run has.
    """

    def __init__(self, run: str) -> None:
        self._prefix = f"{run}:"

    def text(self, token: CompletionToken) -> str:
        """Run, kind and number: ``5f0c:t:42``."""
        return f"{self._prefix}{token.target}:{token.nonce}"

    def token(self, text: str) -> CompletionToken:
        """The token of this run; one that nobody holds for every other text."""
        if text.startswith(self._prefix):
            target, _, number = text[len(self._prefix) :].partition(":")
            # At most what 64 bits hold: int() of a long text would take its time.
            if number.isascii() and number.isdigit() and len(number) < 20:  # noqa: PLR2004  ditto
                return CompletionToken(target, int(number))
        return CompletionToken(text, _UNKNOWN)


OPAQUE: Final = OpaqueTokens()
