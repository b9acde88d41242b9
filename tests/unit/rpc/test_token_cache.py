"""The cached access token: when it is renewed, who waits, what a failure does."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from durable_app.connection.failures import TokenUnavailableError
from durable_app.rpc.token_cache import AccessToken, AsyncTokenCache, TokenCache

START = datetime(2030, 1, 1, tzinfo=UTC)


class Clock:
    """Stands still until it is moved."""

    def __init__(self):
        self.seconds = 0.0

    def now(self):
        return START + timedelta(seconds=self.seconds)

    def monotonic(self):
        return self.seconds

    def new_id(self):
        return "0" * 32


class Issuer:
    """Gives tokens ``1``, ``2``, ... that live for ``life_s``; raises while ``error`` is set."""

    def __init__(self, clock, life_s=3600.0, refresh_s=None):
        self.clock, self.life_s, self.refresh_s = clock, life_s, refresh_s
        self.count = 0
        self.error = None

    def __call__(self):
        self.count += 1
        if self.error is not None:
            raise self.error
        now = self.clock.now().timestamp()
        refresh_on = None if self.refresh_s is None else now + self.refresh_s
        return AccessToken(str(self.count), now + self.life_s, refresh_on)

    async def later(self):
        await asyncio.sleep(0)
        return self()


class Sync:
    def __init__(self, issuer):
        self._cache = TokenCache(issuer, issuer.clock)

    def token(self, rejected=None):
        return self._cache.token(rejected)


class Async:
    def __init__(self, issuer):
        self._cache = AsyncTokenCache(issuer.later, issuer.clock)

    def token(self, rejected=None):
        return asyncio.run(self._cache.token(rejected))


@pytest.fixture(params=[Sync, Async])
def made(request):
    def make(**options):
        issuer = Issuer(Clock(), **options)
        return issuer, request.param(issuer)

    return make


def test_it_is_fetched_when_first_needed_and_then_kept(made) -> None:
    issuer, cache = made()
    assert issuer.count == 0
    assert [cache.token() for _ in range(3)] == ["1", "1", "1"]


@pytest.mark.parametrize(
    ("life_s", "refresh_s", "kept_until", "renewed_from"),
    [(3600, None, 2999, 3001), (3600, 1000, 999, 1001), (300, None, 149, 151), (100, 0, 29, 31)],
)
def test_it_is_renewed_early(made, life_s, refresh_s, kept_until, renewed_from) -> None:
    issuer, cache = made(life_s=life_s, refresh_s=refresh_s)
    cache.token()
    issuer.clock.seconds = kept_until
    assert cache.token() == "1"
    issuer.clock.seconds = renewed_from
    assert cache.token() == "2"


def test_a_valid_token_outlives_a_failed_renewal(made) -> None:
    issuer, cache = made()
    cache.token()
    issuer.error = OSError("no network")
    issuer.clock.seconds = 3100
    assert [cache.token() for _ in range(3)] == ["1", "1", "1"]
    assert issuer.count == 2
    issuer.clock.seconds = 3131
    assert cache.token() == "1"
    assert issuer.count == 3
    issuer.clock.seconds = 3596
    with pytest.raises(TokenUnavailableError, match="OSError: no network"):
        cache.token()
    issuer.error = None
    assert cache.token() == "5"


def test_without_a_token_the_reason_is_told(made) -> None:
    issuer, cache = made()
    issuer.error = ValueError("run az login")
    with pytest.raises(TokenUnavailableError, match="ValueError: run az login") as caught:
        cache.token()
    assert caught.value.retriable


def test_a_refused_token_is_not_given_again(made) -> None:
    issuer, cache = made()
    first = cache.token()
    assert cache.token(first) == "2"
    # Somebody else has renewed it already.
    assert cache.token(first) == "2"
    issuer.error = OSError("no network")
    issuer.clock.seconds = 31
    with pytest.raises(TokenUnavailableError):
        cache.token("2")


def test_a_hub_that_refuses_all_tokens_has_none_fetched_for_each_call(made) -> None:
    issuer, cache = made()
    first = cache.token()
    assert [cache.token(first) for _ in range(3)] == ["2", "2", "2"]
    assert [cache.token("2") for _ in range(3)] == ["2", "2", "2"]
    issuer.clock.seconds = 31
    assert [cache.token("2") for _ in range(3)] == ["3", "3", "3"]
    assert cache.token("3") == "3"


def test_a_credential_may_insist(made) -> None:
    issuer, cache = made()
    cache.token()
    issuer.count = 0
    assert cache.token("1") == "1"


def test_a_token_is_not_shown() -> None:
    token = AccessToken("secret", 1.0)
    assert "secret" not in f"{token} {token!r}"


class Slow:
    """An issuer that waits for ``go``."""

    def __init__(self, issuer):
        self.issuer = issuer
        self.began = threading.Event()
        self.go = threading.Event()

    def __call__(self):
        self.began.set()
        assert self.go.wait(10)
        return self.issuer()


@pytest.mark.parametrize("error", [None, OSError("no network")])
def test_threads_wait_for_one_fetch_and_get_what_it_got(error) -> None:
    issuer = Issuer(Clock())
    issuer.error = error
    slow = Slow(issuer)
    cache = TokenCache(slow, issuer.clock)
    ready = threading.Barrier(5)

    def ask():
        ready.wait(10)
        return cache.token()

    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(ask) for _ in range(4)]
        ready.wait(10)
        slow.began.wait(10)
        # One that asks later than the failure would try for itself: let all of them queue up.
        threading.Event().wait(0.2)
        slow.go.set()
        results = [future.exception() or future.result() for future in waiting]
    assert issuer.count == 1
    if error is None:
        assert results == ["1"] * 4
    else:
        assert all(isinstance(result, TokenUnavailableError) for result in results)


def test_a_thread_whose_time_is_up_leaves_the_fetch_to_the_next_call() -> None:
    issuer, go_on = Issuer(Clock()), threading.Event()

    def fetch():
        go_on.wait(9)
        return issuer()

    cache = TokenCache(fetch, issuer.clock)
    for _ in range(2):
        with pytest.raises(TimeoutError, match="no access token in time"):
            cache.token(timeout_s=0.01)
    go_on.set()
    assert cache.token(timeout_s=9) == "1"
    assert issuer.count == 1


def test_what_ends_a_program_reaches_the_thread_that_waits() -> None:
    def fetch():
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        TokenCache(fetch, Clock()).token()


def test_with_a_valid_token_in_hand_no_thread_waits() -> None:
    issuer = Issuer(Clock())
    slow = Slow(issuer)
    slow.go.set()
    cache = TokenCache(slow, issuer.clock)
    cache.token()
    slow.go.clear()
    slow.began.clear()
    issuer.clock.seconds = 3100
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(cache.token)
        slow.began.wait(10)
        assert cache.token() == "1"
        slow.go.set()
        assert renewing.result() == "2"


def test_tasks_wait_for_one_fetch_and_a_cancelled_one_harms_nobody() -> None:
    async def main():
        issuer = Issuer(Clock())
        go = asyncio.Event()

        async def fetch():
            await go.wait()
            return issuer()

        cache = AsyncTokenCache(fetch, issuer.clock)
        waiting = [asyncio.create_task(cache.token()) for _ in range(4)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        go.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert results[1:] == ["1", "1", "1"]
        # One renews, the others go on.
        issuer.clock.seconds = 3100
        go.clear()
        renewing = asyncio.create_task(cache.token())
        await asyncio.sleep(0)
        assert await cache.token() == "1"
        go.set()
        assert await renewing == "2"
        assert issuer.count == 2

    asyncio.run(main())


def test_closing_ends_a_fetch() -> None:
    async def main():
        async def fetch():
            await asyncio.Event().wait()

        cache = AsyncTokenCache(fetch, Clock())
        await cache.close()
        waiting = asyncio.create_task(cache.token())
        await asyncio.sleep(0)
        await cache.close()
        await asyncio.wait([waiting])
        return waiting.cancelled()

    assert asyncio.run(main())
