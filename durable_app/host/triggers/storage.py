"""Storage accounts that an app's settings name, reached with the package azure-storage-queue.

The package is an extra: it is imported when a queue is used, and nothing else needs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from durable_app.errors import ConfigError

#: The setting that a binding without ``connection`` means.
DEFAULT_CONNECTION: Final = "AzureWebJobsStorage"
PROBE_S: Final = 1.0
_MISSING: Final = 'Queues need a package that is not installed: pip install "durable-app[storage]".'
_SERVICE_URIS: Final = ("__queueServiceUri", "__serviceUri")
_ACCOUNT_NAME: Final = "__accountName"
_PORTS: Final = {"https": 443, "http": 80}
# Soon and few: the loops that read queues try again by themselves.
_RETRIES: Final = 2
_FIRST_RETRY_S: Final = 1
_RETRY_BASE_S: Final = 2

# The package tells every request at Information; as the host's own it is shown on demand only.
_requests_log = logging.getLogger(f"{__name__}.requests")
_requests_log.setLevel(logging.WARNING)


class Account(NamedTuple):
    """One storage account.

    Attributes:
        setting: name under which bindings know it.
        text: connection string; with ``uses_identity`` the address of its queues.
    """

    setting: str
    text: str
    uses_identity: bool = False


def find_account(connection: str | None, environ: Mapping[str, str]) -> Account | None:
    """The account that ``connection`` of a binding names; None where no setting has it.

    Looked for are ``NAME``, ``AzureWebJobsNAME`` and ``ConnectionStrings:NAME`` with a connection
    string, then ``NAME__queueServiceUri``, ``NAME__serviceUri`` and ``NAME__accountName``, for
    which the machine's Azure identity is used.
    """
    name = connection or DEFAULT_CONNECTION
    for setting in (f"AzureWebJobs{name}", name, f"ConnectionStrings:{name}"):
        if text := environ.get(setting, "").strip():
            return Account(name, text)
    for prefix in (f"AzureWebJobs{name}", name):
        for suffix in _SERVICE_URIS:
            if text := environ.get(prefix + suffix, "").strip():
                return Account(name, text, uses_identity=True)
        if text := environ.get(prefix + _ACCOUNT_NAME, "").strip():
            uri = f"https://{text}.queue.core.windows.net"
            return Account(name, uri, uses_identity=True)
    return None


class StorageAccounts:
    """Clients of the accounts, made on first use. Belongs to one event loop.

    Args:
        environ: the app's settings.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._services: dict[Account, Any] = {}
        self._credential: Any = None
        self._listeners: list[Callable[[str], None]] = []

    def account(self, connection: str | None) -> Account:
        """The account that a binding names.

        Raises:
            ConfigError: no setting has it.
        """
        found = find_account(connection, self._environ)
        if found is None:
            name = connection or DEFAULT_CONNECTION
            raise ConfigError(
                f"No setting '{name}' has a connection string of a storage account. Add it to"
                ' Values of local.settings.json; "UseDevelopmentStorage=true" means Azurite.'
            )
        return found

    def service(self, account: Account) -> Any:
        """Its ``azure.storage.queue.aio.QueueServiceClient``.

        Raises:
            ConfigError: the package is not installed, or the connection string is none.
        """
        if account not in self._services:
            self._services[account] = self._connect(account)
        return self._services[account]

    async def answers(self, account: Account) -> bool:
        """Whether something listens at its address, found out within PROBE_S.

        Raises:
            ConfigError: as :meth:`service`.
        """
        url = urlsplit(self.service(account).url)
        port = url.port or _PORTS.get(url.scheme, 443)
        try:
            async with asyncio.timeout(PROBE_S):
                _, writer = await asyncio.open_connection(url.hostname, port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    def address(self, account: Account) -> str:
        """Host and port of its queues, for messages."""
        return str(urlsplit(self.service(account).url).netloc)

    def listen(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call ``listener`` with the name of each queue that this host sends to.

        Returns:
            What ends that.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tell(self, queue: str) -> None:
        """Something was sent to a queue."""
        for listener in self._listeners:
            listener(queue)

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        for service in self._services.values():
            await service.close()
        self._services.clear()
        if self._credential is not None:
            await self._credential.close()
            self._credential = None

    def _connect(self, account: Account) -> Any:
        try:
            from azure.storage.queue.aio import QueueServiceClient  # noqa: PLC0415  an extra
        except ImportError:
            raise ConfigError(_MISSING) from None
        options: dict[str, Any] = {
            "initial_backoff": _FIRST_RETRY_S,
            "increment_base": _RETRY_BASE_S,
            "retry_total": _RETRIES,
            "logger": _requests_log,
        }
        if account.uses_identity:
            return QueueServiceClient(account.text, credential=self._identity(), **options)
        try:
            return QueueServiceClient.from_connection_string(account.text, **options)
        except ValueError as error:
            # The text is a secret: it is not shown.
            raise ConfigError(
                f"The setting '{account.setting}' is no connection string of a storage account:"
                f" {error} Copy it from the account's access keys, or write"
                ' "UseDevelopmentStorage=true" for Azurite.'
            ) from None

    def _identity(self) -> Any:
        if self._credential is None:
            try:
                from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415  an extra
            except ImportError:
                raise ConfigError(
                    "A queue service URI is reached with an Azure identity, whose package is not"
                    ' installed: pip install "durable-app[azure]".'
                ) from None
            self._credential = DefaultAzureCredential()
        return self._credential
