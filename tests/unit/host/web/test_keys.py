"""Keys under --enableAuth."""

import pytest

from durable_app.errors import ConfigError
from durable_app.host.state import HostState
from durable_app.host.web.keys import Keys, function_scope


@pytest.fixture
def keys():
    state = HostState(None)
    yield Keys(state)
    state.close()


def test_a_key_is_made_once_and_kept(tmp_path):
    state = HostState(tmp_path / "host.db")
    first = Keys(state)
    made = (
        first.master(),
        first.host(),
        first.system("durabletask_extension"),
        first.function("f"),
    )
    again = Keys(state)
    assert len(set(made)) == 4
    assert min(map(len, made)) >= 50
    assert made == (
        again.master(),
        again.host(),
        again.system("durabletask_extension"),
        again.function("F"),
    )
    assert (tmp_path / "host.db").stat().st_mode & 0o077 == 0
    state.close()


def test_two_that_make_the_same_key_at_once_agree():
    state = HostState(None)
    first, second = Keys(state), Keys(state)
    assert first.master() == second.master()
    state.close()


@pytest.mark.parametrize(
    ("level", "opened_by"),
    [
        ("ANONYMOUS", {"none", "wrong", "master", "host", "own", "other", "system"}),
        ("FUNCTION", {"master", "host", "own"}),
        (None, {"master", "host", "own"}),
        ("ADMIN", {"master"}),
    ],
)
def test_a_level_is_opened_by_its_keys(keys, level, opened_by):
    presented = {
        "none": None,
        "wrong": "x",
        "master": keys.master(),
        "host": keys.host(),
        "own": keys.function("mine"),
        "other": keys.function("other"),
        "system": keys.system("durabletask_extension"),
    }
    opened = {who for who, key in presented.items() if keys.accepts(level, "mine", key)}
    assert opened == opened_by


def test_a_webhook_is_opened_by_its_system_key_and_the_master_key(keys):
    presented = [
        keys.system("durabletask_extension"),
        keys.master(),
        keys.system("eventgrid_extension"),
        keys.host(),
        "",
    ]
    found = [keys.accepts("SYSTEM", "durabletask_extension", key) for key in presented]
    assert found == [True, True, False, False, False]


def test_every_candidate_is_compared_whatever_the_first_ones_say(keys, monkeypatch):
    compared = []
    keys.set("host", "second", "two")
    keys.set(function_scope("f"), "third", "three")

    def compare(given, key):
        compared.append(key)
        return given == key

    monkeypatch.setattr("hmac.compare_digest", compare)
    assert keys.accepts("FUNCTION", "f", keys.master())
    assert len(compared) == 5


def test_a_key_of_no_ascii_is_only_wrong(keys):
    assert not keys.accepts("FUNCTION", "f", "schlüssel")
    assert not keys.accepts("FUNCTION", "f", "\udcff")


def test_keys_are_listed_by_scope(keys):
    keys.host()
    keys.set("host", "Ci", "secret")
    keys.function("f")
    assert set(keys.list("HOST")) == {"default", "ci"}
    assert keys.list("host")["ci"] == "secret"
    assert set(keys.list(function_scope("F"))) == {"default"}
    assert keys.list("system") == {}


def test_the_keys_of_an_app_are_made_before_anybody_asks(keys):
    keys.make(["f", "g"])
    found = [keys.list(scope) for scope in ("master", "host", "function:f", "function:g")]
    assert [len(names) for names in found] == [1, 1, 1, 1]
    assert keys.list("system") == {}


def test_a_key_can_be_replaced_and_removed(keys):
    before = keys.host()
    assert keys.set("host", "default") != before
    assert not keys.accepts("FUNCTION", "f", before)
    assert keys.delete("host", "default")
    assert not keys.delete("host", "default")
    assert keys.list("host") == {}
    assert keys.host() != before


@pytest.mark.parametrize(("name", "value"), [("", "x"), ("a/b", "x"), ("a", "")])
def test_a_key_needs_a_name_and_a_value(keys, name, value):
    with pytest.raises(ConfigError):
        keys.set("host", name, value)
