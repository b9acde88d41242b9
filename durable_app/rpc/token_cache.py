"""The access token of a connection: fetched when it is first needed, renewed before it expires.

Theory of operation. ``TokenState`` decides, without I/O, what a caller gets; the two caches, for
threads and for an event loop, fetch and guard. A token is renewed from ten minutes before it
expires, or from the moment that its issuer names. As long as it is still valid, only one caller
waits for the new one, the others go on with the old one; and if renewing fails, all go on with it,
and it is tried again half a minute later. Where there is no valid token all callers wait for one
fetch, and all get its error. A token that the hub refuses is renewed at once; if the next one is
refused, too, it is not the token's fault, and half a minute passes before another is fetched.

What must never happen: two fetches at the same time; a caller that is cancelled and takes away the
token others wait for; a token in a message or in the text of an object.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Final

import msgspec

from durable_app.connection.failures import TokenUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from durable_app.ports import Clock

#: A token is renewed so long before it expires ...
EARLY_REFRESH_S: Final = 600.0
#: ... or after this part of its life, if it lives for a short time only.
EARLY_REFRESH_PART: Final = 0.5
#: After a failed renewal of a token that is still valid.
REFRESH_RETRY_S: Final = 30.0
#: A token is not used any more so shortly before it expires: it has a way to go, and clocks differ.
EXPIRY_MARGIN_S: Final = 5.0


class AccessToken(msgspec.Struct, frozen=True):
    """A token; all times are seconds of the Unix epoch.

    Attributes:
        text: the secret.
        expires_on: from then on it is refused.
        refresh_on: from then on a new one should be fetched, if the issuer says so.
    """

    text: str
    expires_on: float
    refresh_on: float | None = None

    def __repr__(self) -> str:
        return f"AccessToken(expires_on={self.expires_on})"

    __str__ = __repr__


class TokenState:
    """Which token there is, and what to do about it. No I/O, no lock.

    Args:
        now: gives the seconds of the Unix epoch.
    """

    __slots__ = ("_insists_until", "_now", "_refresh_on", "token")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._refresh_on = 0.0
        self._insists_until = 0.0
        self.token: AccessToken | None = None

    def usable(self, rejected: str | None) -> AccessToken | None:
        """The token, if it is valid and not to be replaced because it was rejected."""
        token, now = self.token, self._now()
        if token is None or (token.text == rejected and now >= self._insists_until):
            return None
        return token if now < token.expires_on - EXPIRY_MARGIN_S else None

    def fresh(self, rejected: str | None) -> AccessToken | None:
        """The token, if it is usable and need not be renewed yet."""
        token = self.usable(rejected)
        return token if token is not None and self._now() < self._refresh_on else None

    def fetched(self, token: AccessToken, rejected: str | None) -> None:
        """A new token has arrived, in place of one that was rejected perhaps."""
        now = self._now()
        if rejected is not None:
            self._insists_until = now + REFRESH_RETRY_S
        early = min(EARLY_REFRESH_S, (token.expires_on - now) * EARLY_REFRESH_PART)
        self._refresh_on = token.expires_on - early
        if token.refresh_on is not None:
            self._refresh_on = min(self._refresh_on, token.refresh_on)
        # A credential may hand out a token of its own cache that is due already.
        self._refresh_on = max(self._refresh_on, min(now + REFRESH_RETRY_S, token.expires_on))
        self.token = token

    def failed(self) -> None:
        """Renewing has failed: the token is used on, if it is valid, and not renewed at once."""
        self._refresh_on = self._now() + REFRESH_RETRY_S


def unavailable(error: Exception) -> TokenUnavailableError:
    """What callers get where no token could be fetched."""
    return TokenUnavailableError(
        f"No access token for the scheduler: {type(error).__name__}: {error}"
    )


class TokenCache:
    """The token for callers in any number of threads.

    A token is fetched on a thread of its own: a caller whose time is up leaves the fetch to the
    others, and to the next call.

    Args:
        fetch: gets a token.
        clock: of the process.
    """

    def __init__(self, fetch: Callable[[], AccessToken], clock: Clock) -> None:
        self._fetch = fetch
        self._state = TokenState(lambda: clock.now().timestamp())
        self._lock = threading.Lock()
        self._fetching: Future[AccessToken] | None = None

    def token(self, rejected: str | None = None, timeout_s: float | None = None) -> str:
        """The text of a valid token.

        Args:
            rejected: text of a token that the hub has just refused: it is not given again, unless
                the credential insists on it, or it has just replaced one that was refused, too.
            timeout_s: how long to wait for one at most; None for as long as it takes.

        Raises:
            TokenUnavailableError: there is none, and none could be fetched.
            TimeoutError: none has come in time.
        """
        with self._lock:
            token = self._state.fresh(rejected)
            if token is None and self._fetching is not None:
                # With a token in hand nobody waits for the one who renews it.
                token = self._state.usable(rejected)
            if token is not None:
                return token.text
            fetching = self._fetching or self._begin(rejected)
        if not wait((fetching,), timeout_s).done:
            raise TimeoutError("There was no access token in time.")
        try:
            return fetching.result().text
        except Exception as error:  # credentials raise errors of many libraries
            fallback = self._state.usable(rejected)
            if fallback is None:
                raise unavailable(error) from error
            return fallback.text

    def _begin(self, rejected: str | None) -> Future[AccessToken]:
        fetching: Future[AccessToken] = Future()
        thread = threading.Thread(
            target=self._renew, args=(fetching, rejected), name="access-token", daemon=True
        )
        thread.start()
        self._fetching = fetching
        return fetching

    def _renew(self, fetching: Future[AccessToken], rejected: str | None) -> None:
        try:
            token = self._fetch()
        except BaseException as error:  # noqa: BLE001  whoever waits gets it
            with self._lock:
                self._state.failed()
                self._fetching = None
            fetching.set_exception(error)
            return
        with self._lock:
            self._state.fetched(token, rejected)
            self._fetching = None
        fetching.set_result(token)


class AsyncTokenCache:
    """The token for callers on one event loop.

    Args:
        fetch: gets a token.
        clock: of the process.
    """

    def __init__(self, fetch: Callable[[], Awaitable[AccessToken]], clock: Clock) -> None:
        self._fetch = fetch
        self._state = TokenState(lambda: clock.now().timestamp())
        self._fetching: asyncio.Task[AccessToken] | None = None

    async def token(self, rejected: str | None = None) -> str:
        """The text of a valid token; see :meth:`TokenCache.token`."""
        token = self._state.fresh(rejected)
        if token is not None:
            return token.text
        fallback = self._state.usable(rejected)
        if self._fetching is not None and fallback is not None:
            return fallback.text
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._renew(rejected), name="access-token")
        fetching = self._fetching
        try:
            # A caller that is cancelled leaves the fetch to the others.
            token = await asyncio.shield(fetching)
        except Exception as error:  # credentials raise errors of many libraries
            fallback = self._state.usable(rejected)
            if fallback is None:
                raise unavailable(error) from error
            return fallback.text
        return token.text

    async def _renew(self, rejected: str | None) -> AccessToken:
        try:
            token = await self._fetch()
        except BaseException:
            self._state.failed()
            raise
        finally:
            self._fetching = None
        self._state.fetched(token, rejected)
        return token

    async def close(self) -> None:
        """End a fetch that is going on."""
        fetching = self._fetching
        if fetching is not None:
            fetching.cancel()
            await asyncio.wait([fetching])
