from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from durable_app.errors import StoreUnavailableError
from durable_app.host.state import HostState


@pytest.fixture(params=["memory", "file"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return None if request.param == "memory" else tmp_path / ".durable" / "host.db"


def test_texts_by_kind_and_name(path: Path | None) -> None:
    state = HostState(path)
    assert state.read("timer", "tick") is None
    assert state.all_of("timer") == {}

    state.write("timer", "tick", "1")
    state.write("timer", "tick", "2")
    state.write("timer", "tock", "3")
    state.write("key", "tick", "secret")

    assert state.read("timer", "tick") == "2"
    assert state.all_of("timer") == {"tick": "2", "tock": "3"}
    state.delete("timer", "tick")
    state.delete("timer", "absent")
    assert state.all_of("timer") == {"tock": "3"}
    state.close()


def test_the_first_text_stays(path: Path | None) -> None:
    state = HostState(path)
    assert state.write_if_absent("key", "master", "first") == "first"
    assert state.write_if_absent("key", "master", "second") == "first"
    state.close()


def test_a_file_keeps_them_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "host.db"
    first = HostState(path)
    first.write("key", "master", "secret")
    first.close()
    first.close()
    second = HostState(path)
    assert second.read("key", "master") == "secret"
    second.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_others_could_read_is_only_the_owners_from_now_on(tmp_path):
    path = tmp_path / "host.db"
    path.touch(0o644)
    HostState(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_threads_share_it(path: Path | None) -> None:
    state = HostState(path)
    threads = [
        threading.Thread(target=state.write, args=("timer", f"t{number}", str(number)))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state.all_of("timer") == {f"t{number}": str(number) for number in range(8)}
    state.close()


def test_two_hosts_of_one_folder_share_the_file(tmp_path: Path) -> None:
    one, other = HostState(tmp_path / "host.db"), HostState(tmp_path / "host.db")
    one.write("key", "master", "secret")
    assert other.write_if_absent("key", "master", "mine") == "secret"
    one.close()
    other.close()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "host.db"
    path.write_text("not a database, but long enough to be looked at as one " * 20)
    with pytest.raises(StoreUnavailableError, match=r"host\.db.*remove the file to start anew"):
        HostState(path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StoreUnavailableError, match="cannot be used"):
        HostState(tmp_path / "taken" / "host.db")


def test_after_its_end_it_says_so() -> None:
    state = HostState(None)
    state.close()
    with pytest.raises(StoreUnavailableError, match="memory"):
        state.read("timer", "tick")
