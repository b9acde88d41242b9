"""Connection strings: what they may look like, and what each fault is answered with."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from durable_app.connection.authentication import Authentication, AuthenticationKind
from durable_app.connection.connection_string import (
    check_header_text,
    choose_task_hub,
    parse_connection_string,
    split_pairs,
)
from durable_app.connection.endpoint import parse_endpoint
from durable_app.errors import ConfigError

LOCAL = "Endpoint=http://localhost:8080;TaskHub=default;Authentication=None"
AZURE = "Endpoint=https://shop.westus2.durabletask.io;TaskHub=orders;"


def test_the_string_of_the_emulator() -> None:
    parsed = parse_connection_string(LOCAL)
    assert parsed.endpoint.target == "localhost:8080"
    assert not parsed.endpoint.is_encrypted
    assert parsed.task_hub == "default"
    assert parsed.authentication == Authentication(AuthenticationKind.NONE)
    assert parsed.warnings == ()


def test_the_string_of_a_scheduler_in_azure() -> None:
    parsed = parse_connection_string(AZURE + "Authentication=ManagedIdentity;ClientID=abc")
    assert parsed.endpoint.target == "shop.westus2.durabletask.io:443"
    assert parsed.endpoint.is_encrypted
    assert parsed.authentication.client_id == "abc"


@pytest.mark.parametrize(
    "text",
    [
        "authentication=none;TASKHUB=default;endpoint=http://localhost:8080",
        " Endpoint = http://localhost:8080 ;; TaskHub = default ; Authentication = NONE ; ",
        "Endpoint='http://localhost:8080';TaskHub=\"default\";Authentication=None;",
        "Endpoint=localhost:8080;TaskHub=default;Authentication=None",
        "TenantId=;" + LOCAL,
    ],
)
def test_order_case_spaces_quotes_and_empty_pairs_do_not_count(text: str) -> None:
    assert parse_connection_string(text) == parse_connection_string(LOCAL)


def test_the_hub_may_be_left_open() -> None:
    assert parse_connection_string("Endpoint=http://x:1;Authentication=None").task_hub is None
    assert (
        parse_connection_string("Endpoint=http://x:1;TaskHub=;Authentication=None").task_hub is None
    )


def test_a_hub_with_a_certificate_may_be_on_this_machine() -> None:
    parsed = parse_connection_string(LOCAL.replace("http:", "https:"))
    assert parsed.endpoint.is_local
    assert parsed.endpoint.is_encrypted


def test_the_last_of_two_counts_and_is_told() -> None:
    parsed = parse_connection_string(LOCAL + ";taskhub=second", "DTS")
    assert parsed.task_hub == "second"
    assert parsed.warnings == ("DTS: TaskHub is given more than once; the last one is used.",)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("k=a=b==", "a=b=="),
        ("k='a;b'", "a;b"),
        ("k='it''s'", "it's"),
        ('k="say ""no""";', 'say "no"'),
        ("k=a'b", "a'b"),
        ("k='' ;", None),
    ],
)
def test_values(text: str, value: str | None) -> None:
    assert split_pairs(text, "S").values.get("k") == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "no key=value pair"),
        ("a=b;secret", "no key=value pair"),
        ("=b", "no key=value pair"),
        ("k='open", "quote at the value of k is not closed"),
        ("k='a'b", "text follows the closing quote at the value of k"),
    ],
)
def test_faults_of_the_grammar(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        split_pairs(text, "S")
    assert str(caught.value).startswith("S: ")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  ", "must not be empty"),
        ("Endpoint=http://x;TaskHub=h", "must contain an Authentication property"),
        ("TaskHub=h;Authentication=None", "must contain an Endpoint property"),
        ("Endpoint=;TaskHub=h;Authentication=None", "must contain an Endpoint property"),
        (
            "This is not a valid=connection string format",
            "unsupported connection string key 'This is not a valid'",
        ),
        (LOCAL + ";TaskHubs=h", "'TaskHubs'. Did you mean 'TaskHub'"),
        (LOCAL + ";Clientld=h", "Did you mean 'ClientID'"),
        (LOCAL + ";zzzzzzzz=h", "Known are Endpoint, TaskHub"),
        ("UseDevelopmentStorage=true", "connection string of a storage account"),
        ("AccountName=a;AccountKey=c2VjcmV0", "connection string of a storage account"),
        (LOCAL.replace("=None", "=Nobody"), "unsupported authentication type 'Nobody'. Choose one"),
        (LOCAL.replace("=None", "=ManagedIdentiy"), "Did you mean 'ManagedIdentity'"),
        (LOCAL.replace("=None", "=VisualStudio"), "use Authentication=AzureCLI"),
        (LOCAL.replace("TaskHub=default", "TaskHub='a\nb'"), "printable ASCII"),
        (LOCAL + ";ClientID=x", "ClientID cannot be used with Authentication=None"),
        (AZURE + "Authentication=Environment;ClientID=x", "set AZURE_CLIENT_ID instead"),
        (AZURE + "Authentication=Environment;TenantId=x", "set AZURE_TENANT_ID instead"),
        (AZURE + "Authentication=ManagedIdentity;TenantId=x", "belongs to one tenant"),
        (AZURE + "Authentication=DefaultAzure;TokenFilePath=x", "AZURE_FEDERATED_TOKEN_FILE"),
        (AZURE + "Authentication=AzureCLI;ClientID=x", "leave it out (possible are"),
        (AZURE + "Authentication=Environment;AuthorityHost=http://x", "must be an https:// addr"),
        (AZURE + "Authentication=Environment;AuthorityHost=https://[", "must be an https:// addr"),
        (AZURE + "Authentication=None", "Azure lets nobody in"),
        (AZURE.replace("https", "http") + "Authentication=DefaultAzure", "Write https://shop"),
        (LOCAL.replace("8080", "8082"), "8082 is the port of the dashboard"),
        (LOCAL.replace("=None", "=AzureCLI"), "would be sent in the clear"),
    ],
)
def test_faults_say_what_to_write_instead(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_connection_string(text, "DTS")
    assert message in str(caught.value)
    assert str(caught.value).startswith("DTS: ")


@pytest.mark.parametrize(
    "text",
    [
        "AccountName=a;AccountKey=c2VjcmV0",
        LOCAL + ";Password=c2VjcmV0",
        LOCAL.replace("=None", "=Bearer c2VjcmV0"),
        LOCAL.replace("localhost", "me:c2VjcmV0@localhost"),
        LOCAL.replace("localhost", "me:c2VjcmV0/x@localhost"),
        "c2VjcmV0" * 6 + "==",
        "c2VjcmV0",
    ],
)
def test_messages_hold_no_secret(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_connection_string(text)
    assert "c2VjcmV0" not in str(caught.value)


def test_the_fields_of_a_workload() -> None:
    parsed = parse_connection_string(
        AZURE + "Authentication=workloadidentity;ClientID=c;TenantId=t;TokenFilePath=/var/token;"
        "AdditionallyAllowedTenants= a, ,* ;ResourceId=https://r;AuthorityHost=https://login.x"
    )
    assert parsed.authentication == Authentication(
        AuthenticationKind.WORKLOAD_IDENTITY,
        "c",
        "t",
        "/var/token",
        ("a", "*"),
        "https://r",
        "https://login.x",
    )


REMOTE = parse_endpoint("https://x.io", "e", encrypted=True)
HERE = parse_endpoint("http://localhost:1", "e", encrypted=False)


@pytest.mark.parametrize(
    ("argument", "in_string", "setting", "chosen"),
    [
        ("a", "b", "c", "a"),
        ("", "b", "c", "b"),
        (None, None, "c", "c"),
        (None, None, "", "default"),
    ],
)
def test_who_names_the_hub(argument, in_string, setting, chosen) -> None:
    string = parse_connection_string(LOCAL)._replace(task_hub=in_string)
    assert choose_task_hub(argument, string, HERE, {"TASKHUB_NAME": setting}) == chosen


def test_a_remote_hub_has_to_be_named() -> None:
    with pytest.raises(ConfigError, match="No task hub is named for"):
        choose_task_hub(None, None, REMOTE, {})


@pytest.mark.parametrize("text", ["", " a", "a ", "a\r\nb", "ä", "\x7f"])
def test_what_no_header_can_carry(text: str) -> None:
    with pytest.raises(ConfigError, match="printable ASCII"):
        check_header_text(text, "the hub", "S")


PIECES = st.sampled_from(
    [
        "Endpoint",
        "TaskHub",
        "authentication",
        "ClientID",
        "=",
        ";",
        "'",
        '"',
        "http://",
        "https://",
        "localhost",
        "x.durabletask.io",
        ":8080",
        "[",
        "]",
        "@",
        "None",
        "AzureCLI",
    ]
)


@given(st.lists(PIECES | st.text(max_size=3), max_size=20).map("".join))
@example("Endpoint=http://[::1;Authentication=None")
@example("Endpoint=https://x\u2100.io;Authentication=AzureCLI")
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parsed = parse_connection_string(text)
    except ConfigError:
        return
    assert parsed.endpoint.target
    assert parsed.endpoint.is_encrypted or parsed.authentication.kind is AuthenticationKind.NONE


@given(st.text())
def test_every_value_can_be_quoted(value: str) -> None:
    quoted = value.replace("'", "''")
    found = split_pairs(f"k='{quoted}';z=1", "S").values
    assert found == {key: text for key, text in (("k", value), ("z", "1")) if text}
