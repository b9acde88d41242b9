"""`func durable ...` on the database file, where no host runs."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from durable_app.cli.main import main
from tests.unit.cli.rig import listed, make_hub, write_app

SHOWN = ("get-instances", "--show-input")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("DURABLE_APP_STORE", "DURABLE_APP_HUB"):
        monkeypatch.delenv(name, raising=False)
    write_app(tmp_path / "app")
    make_hub(tmp_path / "app" / ".durable" / "default.db")
    monkeypatch.chdir(tmp_path / "app")
    return tmp_path / "app"


def start(func, instance_id="a1", *more):
    return func("start-new", "--function-name", "hello", "--id", instance_id, *more)


def test_a_start_says_when_and_under_which_id_and_shows_the_status(func):
    first, _, status = start(func, "a1", "--input", '{"n": 1}').partition("\n")
    shown = json.loads(status)
    assert first == f"Started 'hello' at {shown['createdTime']}. Instance ID: 'a1'."
    assert shown["input"] == {"n": 1}
    assert shown["runtimeStatus"] == "Pending"


def test_a_start_without_an_id_gets_one(func):
    status = json.loads(func("start-new", "--function-name", "hello", "--json"))
    assert len(status["instanceId"]) == 32


def test_a_start_without_a_host_says_that_it_goes_on_later(folder, capsys):
    main(["durable", "start-new", "--function-name", "hello"])
    assert "No host runs: this is stored" in capsys.readouterr().err


def test_the_version_of_an_instance_can_be_chosen(func):
    assert "'a1'" in start(func, "a1", "--version", "2.0")


def test_input_can_come_from_a_file(func, folder):
    (folder / "in.json").write_text("[1, 2]")
    start(func, "a1", "--input", "@in.json")
    status = func("get-runtime-status", "--id", "a1", "--show-input")
    assert json.loads(status)["input"] == [1, 2]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("Ada", "A text needs its quotes"), ("@no.json", "no.json cannot be read")],
)
def test_input_that_is_no_json_is_refused(refused, text, reason):
    told = refused("start-new", "--function-name", "hello", "--input", text, code=3)
    assert reason in told


def test_a_taken_id_is_refused(func, refused):
    start(func)
    told = refused("start-new", "--function-name", "hello", "--id", "a1")
    assert "already exists" in told


def test_a_status_shows_input_and_output_only_if_asked_to(func):
    start(func, "a1", "--input", "5")
    bare = json.loads(func("get-runtime-status", "--id", "a1"))
    full = json.loads(func("get-runtime-status", "--id", "a1", "--show-input", "--show-output"))
    assert {"input", "output", "historyEvents"}.isdisjoint(bare)
    assert (full["input"], full["output"]) == (5, None)


def test_a_history_is_a_list_of_events(func):
    start(func)
    assert json.loads(func("get-history", "--id", "a1")) == []


def test_an_unknown_instance_is_named(refused):
    wanted = "Could not find an orchestration instance with id 'no'"
    for command in ("get-runtime-status", "get-history", "terminate", "rewind", "restart"):
        assert refused(command, "--id", "no").strip() == wanted


def test_an_error_is_json_where_output_is(refused):
    told = refused("get-history", "--id", "no", "--json")
    assert json.loads(told) == {"error": "Could not find an orchestration instance with id 'no'"}


def test_instances_are_listed_a_page_at_a_time(func):
    for number in range(3):
        start(func, f"i{number}")
    first = func("get-instances", "--top", "2", "--json")
    token = json.loads(first)["continuationToken"]
    rest = func("get-instances", "--continuation-token", token, "--json")
    assert (listed(first), listed(rest)) == (["i0", "i1"], ["i2"])
    assert json.loads(rest)["continuationToken"] is None


def test_a_list_for_people_names_the_token(func):
    start(func, "i0")
    start(func, "i1")
    told = func("get-instances", "--top", "1")
    assert "\nContinuation token for next set of results: '" in told


def test_instances_are_filtered_by_status_and_time(func):
    start(func, "held")
    start(func, "other")
    func("suspend", "--id", "held")
    by_status = func("get-instances", "--runtime-status", "suspended", "failed", "--json")
    by_time = func("get-instances", "--created-after", "2999-01-01", "--json")
    before = func("get-instances", "--created-before", "2999-01-01T00:00:00+01:00", "--json")
    assert (listed(by_status), listed(by_time)) == (["held"], [])
    assert listed(before) == ["held", "other"]


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--runtime-status", "Runing", "'Runing' is no status. Did you mean Running?"),
        ("--runtime-status", "x", "It is one of Running, Completed"),
        ("--created-after", "yesterday", "'yesterday' is no time such as"),
        ("--top", "0", "'0' is no number above 0"),
        ("--tap", "5", "unknown option --tap. Did you mean --top?"),
    ],
)
def test_a_filter_that_makes_no_sense_is_a_parse_error(refused, option, value, reason):
    assert reason in refused("get-instances", option, value, code=3)


def test_an_event_is_raised(func):
    start(func)
    told = func("raise-event", "--id", "a1", "--event-name", "Go", "--event-data", "[1]")
    assert told == "Raised event 'Go' to instance 'a1'.\n"


def test_an_event_without_a_name_gets_one(func):
    start(func)
    raised = json.loads(func("raise-event", "--id", "a1", "--json"))
    assert raised["eventName"].startswith("Event_")
    assert len(raised["eventName"]) == len("Event_") + 32


def test_an_instance_is_held_resumed_and_ended(func):
    start(func)
    assert func("suspend", "--id", "a1", "--reason", "lunch") == "Successfully suspended 'a1'\n"
    assert func("resume", "--id", "a1") == "Successfully resumed 'a1'\n"
    ended = json.loads(func("terminate", "--id", "a1", "--json"))
    assert ended == {"instanceId": "a1", "runtimeStatus": "Terminated"}


def test_a_finished_instance_cannot_be_ended_again(func, refused):
    start(func)
    func("terminate", "--id", "a1")
    assert "'a1' has finished already" in refused("terminate", "--id", "a1")


def test_only_a_failed_instance_can_be_rewound(func, refused):
    start(func)
    assert "only failed ones can" in refused("rewind", "--id", "a1")
    func("terminate", "--id", "a1")
    said = refused("rewind", "--id", "a1")
    assert "'a1' has finished without a failure: only failed ones can be rewound." in said


def test_an_instance_is_restarted_under_a_new_id_or_its_own(func):
    start(func)
    func("terminate", "--id", "a1")
    fresh = json.loads(func("restart", "--id", "a1", "--json"))["instanceId"]
    same = func("restart", "--id", "a1", "--keep-id")
    assert fresh != "a1"
    assert same == "Restarted 'a1'. Instance ID: 'a1'.\n"


def test_finished_instances_are_purged(func):
    start(func, "done")
    start(func, "runs")
    func("terminate", "--id", "done")
    assert func("purge-history") == "Instances deleted: 1\n"
    assert func("purge-history", "--json") == '{"instancesDeleted": 0}\n'
    assert listed(func("get-instances", "--json")) == ["runs"]


def test_a_hub_is_deleted_with_its_file(func, folder):
    assert func("delete-task-hub", "--yes") == "Task hub 'default' successfully deleted.\n"
    assert list((folder / ".durable").iterdir()) == []


def test_a_file_keeps_its_other_hubs(func, folder):
    database = make_hub(folder / "two.db", "first")
    make_hub(database, "second")
    at = ("--store", "sqlite:two.db", "--task-hub-name")
    deleted = func("delete-task-hub", *at, "first", "--json")
    assert json.loads(deleted) == {"taskHub": "first"}
    assert listed(func("get-instances", *at, "second", "--json")) == []


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("\n", 1)])
def test_a_hub_is_deleted_after_a_question_on_a_terminal(folder, monkeypatch, answer, code):
    monkeypatch.setattr(sys, "stdin", _Terminal(answer))
    assert main(["durable", "delete-task-hub"]) == code
    assert (folder / ".durable" / "default.db").exists() is bool(code)


def test_a_hub_that_is_not_there_is_named(refused):
    assert "other.db does not exist" in refused("get-instances", "--task-hub-name", "other")


def test_a_file_without_that_hub_says_what_it_holds(refused, folder):
    at = ("--store", "sqlite:.durable/default.db", "--task-hub-name", "x")
    for command in ("get-instances", "delete-task-hub"):
        assert "holds no task hub 'x'; it holds 'default'" in refused(command, *at)


def test_a_memory_store_cannot_be_reached(refused):
    assert "ends with it" in refused("get-instances", "--store", "memory")


def test_the_hub_may_be_named_by_a_connection_string(refused, folder, monkeypatch):
    (folder / "host.json").write_text(
        '{"version": "2.0", "extensions": {"durableTask":'
        ' {"storageProvider": {"type": "azureManaged"}}}}'
    )
    monkeypatch.setenv("MINE", "Endpoint=http://localhost:1;TaskHub=fourth")
    told = refused("get-instances", "--connection-string-setting", "MINE")
    assert "no task hub 'fourth'" in told


def test_a_folder_that_is_none_is_an_error(refused):
    assert "is no folder" in refused("get-instances", "--script-root", "nowhere")


def test_the_folder_may_be_named_before_the_command(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert main(["--script-root", "app", "durable", "get-instances", "--json"]) == 0
    assert main(["durable", "--prefix=app", "get-instances", "--json"]) == 0
    assert main(["durable", "get-instances", "--prefix", "app", "--json"]) == 0


def test_debugging_shows_where_an_error_comes_from(folder):
    from durable_app.errors import ConfigError

    with pytest.raises(ConfigError):
        main(["durable", "get-instances", "--store", "memory", "--debug"])


def test_without_a_command_the_usage_is_shown(func):
    assert "purge-history" in func()


def test_an_option_alone_is_no_command(folder, capsys):
    assert main(["durable", "--verbose"]) == 3


def test_a_misspelt_command_is_a_parse_error(refused):
    assert "Did you mean get-history?" in refused("get-histroy", code=3)


def test_a_required_option_that_is_missing_is_a_parse_error(refused):
    assert "required: --function-name" in refused("start-new", code=3)


def test_an_interrupt_ends_it_quietly(folder, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("durable_app.compose.management.locate_hub", interrupted)
    assert main(["durable", "get-instances"]) == 1


def run(folder, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "durable_app", "durable", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), **options.pop("env", {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def test_a_reader_that_has_seen_enough_is_no_error(func, folder):
    start(func, "a1", "--input", json.dumps("x" * 200_000))
    with run(folder, *SHOWN) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 0)


def test_a_text_that_the_terminal_lacks_is_escaped(func, folder):
    start(func, "a1", "--input", '"\u5bff\u53f8"')
    with run(folder, *SHOWN, env={"PYTHONIOENCODING": "latin-1"}) as process:
        told, _ = process.communicate()
    assert b'"input": "\\u5bff\\u53f8"' in told


def test_a_reader_that_is_gone_is_no_error(folder, monkeypatch):
    class Gone(io.StringIO):
        def write(self, _):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    assert main(["durable", "get-instances"]) == 0
    sys.stdout.close()


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (("get-runtime-status", "--id", "a\udcff"), "--id"),
        (("start-new", "--function-name", "a\udcff"), "--function-name"),
        (("raise-event", "--id", "x", "--event-name", "a\udcff"), "--event-name"),
    ],
)
def test_what_is_no_text_is_refused(folder, capsys, command, option):
    assert main(["durable", *command]) == 3
    assert f"{option}: this is no UTF-8 text" in capsys.readouterr().err
