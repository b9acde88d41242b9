from __future__ import annotations

import asyncio
import sys

import pytest

from durable_app.errors import ConfigError
from durable_app.host.triggers.storage import Account, StorageAccounts, find_account

TEXT = "UseDevelopmentStorage=true"


@pytest.mark.parametrize(
    ("connection", "settings", "account"),
    [
        (None, {"AzureWebJobsStorage": TEXT}, Account("AzureWebJobsStorage", TEXT)),
        ("", {"AzureWebJobsStorage": TEXT}, Account("AzureWebJobsStorage", TEXT)),
        ("Shop", {"Shop": TEXT}, Account("Shop", TEXT)),
        ("Shop", {"AzureWebJobsShop": TEXT, "Shop": "other"}, Account("Shop", TEXT)),
        ("Shop", {"ConnectionStrings:Shop": TEXT}, Account("Shop", TEXT)),
        (
            "Shop",
            {"Shop__queueServiceUri": "https://a/b"},
            Account("Shop", "https://a/b", uses_identity=True),
        ),
        (
            "Shop",
            {"AzureWebJobsShop__serviceUri": "https://a/b"},
            Account("Shop", "https://a/b", uses_identity=True),
        ),
        (
            "Shop",
            {"Shop__accountName": "shop"},
            Account("Shop", "https://shop.queue.core.windows.net", uses_identity=True),
        ),
        ("Shop", {"AzureWebJobsStorage": TEXT, "Shop": " "}, None),
    ],
)
def test_the_setting_of_a_connection(
    connection: str | None, settings: dict[str, str], account: Account | None
) -> None:
    assert find_account(connection, settings) == account


def test_azurite_is_meant_by_its_short_name() -> None:
    async def look() -> tuple[str, bool]:
        accounts = StorageAccounts({"AzureWebJobsStorage": TEXT})
        account = accounts.account(None)
        address, same = accounts.address(account), accounts.service(account)
        is_same = accounts.service(account) is same
        await accounts.close()
        await accounts.close()
        return address, is_same

    assert asyncio.run(look()) == ("127.0.0.1:10001", True)


def test_a_connection_string_that_is_none_is_not_shown() -> None:
    accounts = StorageAccounts({"Shop": "secret"})
    with pytest.raises(ConfigError, match="The setting 'Shop' is no connection string") as refusal:
        accounts.service(accounts.account("Shop"))
    assert "secret" not in str(refusal.value)


def test_a_service_address_is_reached_with_an_identity() -> None:
    pytest.importorskip("azure.identity", reason="an extra")

    async def look() -> str:
        accounts = StorageAccounts({"Shop__accountName": "shop", "Till__accountName": "till"})
        accounts.service(accounts.account("Till"))
        address = accounts.address(accounts.account("Shop"))
        await accounts.close()
        return address

    assert asyncio.run(look()) == "shop.queue.core.windows.net"


@pytest.mark.parametrize(
    ("module", "settings", "extra"),
    [
        ("azure.storage.queue.aio", {"Shop": TEXT}, "storage"),
        ("azure.identity.aio", {"Shop__accountName": "shop"}, "azure"),
    ],
)
def test_an_extra_that_is_not_installed(
    module: str, settings: dict[str, str], extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    accounts = StorageAccounts(settings)
    with pytest.raises(ConfigError, match=rf'pip install "durable-app\[{extra}\]"'):
        accounts.service(accounts.account("Shop"))


def test_listeners_hear_what_was_sent_until_they_leave() -> None:
    heard: list[str] = []
    accounts = StorageAccounts({})
    leave = accounts.listen(heard.append)
    accounts.tell("orders")
    leave()
    accounts.tell("orders")
    assert heard == ["orders"]
