"""Which hub serves the app."""

import socket

import pytest

from durable_app.errors import ConfigError
from durable_app.host.config import hub_choice
from durable_app.host.config.hub_choice import allowed_hosts, default_store, is_allowed_host
from durable_app.host.config.settings import DurableTaskOptions, StorageProvider

SCHEDULER = StorageProvider(type="azureManaged", connection_string_name="DTS")


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def choose_hub(*given, is_hub=lambda _: False, **more):
    return hub_choice.choose_hub(*given, is_hub=is_hub, **more)


def options(hub_name=None, provider=SCHEDULER):
    return DurableTaskOptions(hub_name=hub_name, storage_provider=provider)


def test_a_local_scheduler_that_does_not_listen_means_the_embedded_hub(tmp_path, free_port):
    environ = {"DTS": f"Endpoint=http://localhost:{free_port};Authentication=None", "HUB": "Orders"}
    choice = choose_hub(options("%HUB%"), environ, tmp_path)
    assert choice.name == "Orders"
    assert choice.connection == "DTS"
    assert choice.store == tmp_path / ".durable" / "orders.db"
    assert choice.start_line == (
        f"Task hub 'Orders': embedded, store sqlite:{choice.store}"
        f" (nothing listens on http://localhost:{free_port})."
    )


@pytest.fixture
def busy_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_something_else_on_that_port_is_an_error(tmp_path, busy_port):
    environ = {"DTS": f"Endpoint=http://127.0.0.1:{busy_port};Authentication=None"}
    with pytest.raises(ConfigError, match=r"Something listens on .* no task hub.* --hub embedded"):
        choose_hub(options(), environ, tmp_path)
    assert choose_hub(options(), environ, tmp_path, mode="embedded").name == "default"


def test_a_hub_on_that_port_is_used(tmp_path, busy_port):
    address = f"http://127.0.0.1:{busy_port}"
    asked = []

    def is_hub(target):
        asked.append(target)
        return True

    choice = choose_hub(
        options(),
        {"DTS": f"Endpoint={address};Authentication=None;TaskHub=orders"},
        tmp_path,
        is_hub=is_hub,
    )
    assert asked == [choice.target]
    assert (choice.name, choice.store) == ("orders", None)
    assert choice.start_line == (
        f"Task hub 'orders' at {address} (Authentication=None): remote"
        f" (a task hub answers on {address})."
    )


AZURE = "Endpoint=https://x.westus2.durabletask.io;Authentication=ManagedIdentity;ClientID=me"


@pytest.mark.parametrize("mode", [None, "remote"])
def test_one_elsewhere_is_used_without_asking(tmp_path, mode):
    choice = choose_hub(options("file"), {"DTS": AZURE}, tmp_path, mode=mode, store="memory")
    assert choice.target.endpoint.target == "x.westus2.durabletask.io:443"
    assert choice.target.authentication.client_id == "me"
    assert "(Authentication=ManagedIdentity): remote (" in choice.start_line
    assert choice.warnings == ("--store memory has no effect: the task hub is a remote one.",)


def test_remote_needs_no_storage_provider(tmp_path):
    environ = {"DURABLE_TASK_SCHEDULER_CONNECTION_STRING": f"{AZURE};TaskHub=orders"}
    chosen = options(provider=StorageProvider())
    assert choose_hub(chosen, environ, tmp_path).target is None
    assert choose_hub(chosen, environ, tmp_path, mode="remote").target.task_hub == "orders"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["DTS_CONNECTION_STRING"], "DTS_CONNECTION_STRING"),
        (
            ["DTS_CONNECTION_STRING", "DURABLE_TASK_SCHEDULER_CONNECTION_STRING"],
            "DURABLE_TASK_SCHEDULER_CONNECTION_STRING",
        ),
    ],
)
def test_the_older_name_of_the_setting_counts_where_it_is_alone(tmp_path, settings, expected):
    chosen = options(provider=StorageProvider(type="azureManaged"))
    choice = choose_hub(chosen, dict.fromkeys(settings, f"{AZURE};TaskHub=orders"), tmp_path)
    assert choice.connection == expected


def test_a_socket_is_a_hub_of_another_process(tmp_path):
    environ = {"DTS": "Endpoint=unix:/run/hub.sock;Authentication=None"}
    choice = choose_hub(options(), environ, tmp_path)
    assert choice.target.task_hub == "default"
    assert choice.reason == "DTS points to it"


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        ("Endpoint=https://x.durabletask.io;TaskHub=h", None, "must contain an Authentication"),
        (AZURE, None, "No task hub is named for https://x.westus2.durabletask.io:443"),
        ("Endpoint=http://localhost:99999", None, "Invalid endpoint URL: .*between 1 and 65535"),
        ("Endpoint=http://", None, "names no host"),
        ("nonsense", None, "no key=value pair"),
        ("", "remote", "--hub remote: DTS is not set"),
        ("TaskHub=orders", "remote", "--hub remote: DTS names no endpoint"),
        ("", "cloud", "--hub cloud: choose one of auto, embedded, remote"),
    ],
)
def test_what_cannot_be_reached_is_refused(tmp_path, text, mode, message):
    with pytest.raises(ConfigError, match=message):
        choose_hub(options(), {"DTS": text}, tmp_path, mode=mode)


def test_the_name_comes_from_host_json_then_the_string_then_the_default(tmp_path):
    environ = {"DTS": "TaskHub=text"}
    assert choose_hub(options(), environ, tmp_path).name == "text"
    assert choose_hub(options(), {}, tmp_path).name == "default"
    both = choose_hub(options("file"), environ, tmp_path)
    assert both.name == "file"
    assert "host.json names task hub 'file', DTS names 'text'" in both.warnings[0]


def test_another_storage_provider_is_replaced(tmp_path):
    choice = choose_hub(options(provider=StorageProvider(type="mssql")), {}, tmp_path)
    assert choice.connection == "Storage"
    assert "storage provider mssql is replaced" in choice.start_line


@pytest.mark.parametrize(
    ("kind", "name", "is_warned"),
    [
        ("AzureStorage", "Orders1", False),
        ("AzureStorage", "my-orders", True),
        ("AzureStorage", "1orders", True),
        ("azurestorage", "ab", True),
        ("azureManaged", "my-orders", False),
        ("azureManaged", "my_orders", True),
        ("azureManaged", "x" * 65, True),
        ("mssql", "my orders", False),
    ],
)
def test_names_that_azure_would_refuse_are_told(tmp_path, kind, name, is_warned):
    choice = choose_hub(options(name, StorageProvider(type=kind)), {}, tmp_path)
    assert choice.name == name
    assert [f"Task hub name '{name}' works here" in line for line in choice.warnings] == (
        [True] * is_warned
    )


def test_a_misspelt_storage_provider_is_told(tmp_path):
    choice = choose_hub(options("Hub", StorageProvider(type="azureManagd")), {}, tmp_path)
    assert choice.warnings == (
        "host.json: extensions.durableTask.storageProvider.type: 'azureManagd' is not known."
        " Did you mean 'azureManaged'?",
    )


def test_the_store_comes_from_the_command_line_then_the_environment(tmp_path):
    environ = {"DURABLE_APP_STORE": "memory", "DURABLE_APP_HUB": "embedded"}
    from_env = choose_hub(options(), environ, tmp_path)
    assert from_env.store is None
    assert from_env.start_line.startswith("Task hub 'default': embedded, store memory (asked for")
    by_hand = choose_hub(options(), environ, tmp_path, store=f"sqlite:{tmp_path / 'x.db'}")
    assert by_hand.store == tmp_path / "x.db"
    with pytest.raises(ConfigError, match="write memory, or sqlite:PATH"):
        choose_hub(options(), {}, tmp_path, store="redis:x")


def test_file_names_are_safe_everywhere(tmp_path):
    assert default_store(tmp_path, "../A b").name == "___a_b.db"
    assert default_store(tmp_path, "My-Hub_1") == tmp_path / ".durable" / "my-hub_1.db"


def test_a_hub_that_is_named_twice_is_told(tmp_path):
    choice = choose_hub(options(), {"DTS": "TaskHub=one;Endpoint=;taskhub='two'"}, tmp_path)
    assert choice.name == "two"
    assert choice.warnings == ("DTS: TaskHub is given more than once; the last one is used.",)
    assert choice.reason == "DTS names no endpoint"


def test_only_an_open_address_allows_the_machines_name():
    name = socket.gethostname().casefold()
    assert allowed_hosts("127.0.0.1", {}) == {"127.0.0.1"}
    assert name in allowed_hosts("0.0.0.0", {"WEBSITE_HOSTNAME": "App.Example"})
    assert "app.example" in allowed_hosts("0.0.0.0", {"WEBSITE_HOSTNAME": "App.Example"})


def test_more_names_come_from_settings():
    environ = {
        "DURABLE_APP_ALLOWED_HOSTS": "Api.Example:8080, other.example.",
        "WEBSITE_HOSTNAME": "",
    }
    assert allowed_hosts("::1", environ) == {"::1", "api.example", "other.example"}


@pytest.mark.parametrize(
    ("name", "address", "expected"),
    [
        ("localhost:7071", "127.0.0.1", True),
        ("[::1]:7071", "127.0.0.1", True),
        ("host.docker.internal", "127.0.0.1", True),
        ("known.example", "127.0.0.1", True),
        ("KNOWN.example.:80", "0.0.0.0", True),
        ("durable-host:7071", "0.0.0.0", True),
        ("10.1.2.3:7071", "0.0.0.0", True),
        ("fd00::1", "::", True),
        ("durable-host", "127.0.0.1", False),
        ("10.1.2.3", "127.0.0.1", False),
        ("evil.example", "0.0.0.0", False),
        ("", "0.0.0.0", False),
        ("[", "0.0.0.0", False),
    ],
)
def test_who_may_be_asked_for_management(name, address, expected):
    assert is_allowed_host(name, address, {"known.example"}) is expected
