"""`func start --workers 2`: the patterns once more, and processes that die at a bad moment."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import WEBHOOK, Host, copy_app, eventually, write_app
from tests.e2e.test_patterns import (  # noqa: F401  they run here once more, with this host
    test_an_operation_starts_an_orchestration_once,
    test_approval_by_event,
    test_async_http_api,
    test_chaining,
    test_entity_with_an_http_api,
    test_eternal_orchestration_keeps_its_id_and_a_short_history,
    test_fan_out_of_many,
    test_monitor_finds_the_job_done,
    test_pipeline_keeps_its_width,
    test_saga_compensates_in_reverse_order,
    test_starter_gives_all_management_urls,
    test_sub_orchestrations,
    test_transfers_under_a_lock,
)

CODE = """
import logging
import os
import time
from pathlib import Path

import azure.functions as func
import durable_app as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
LOG = Path(os.environ["EFFECTS"])


@app.orchestration_trigger(context_name="context")
def spread(context):
    logging.info("spread begins")
    context.set_custom_status("busy")
    tasks = [context.call_activity("work", n) for n in range(context.get_input())]
    done = yield context.task_all(tasks)
    return sorted(done)


@app.activity_trigger(input_name="number")
def work(number: int) -> int:
    with LOG.open("a") as log:
        log.write(f"{os.getpid()} {number}\\n")
    time.sleep(0.05)
    return number


@app.orchestration_trigger(context_name="context")
def parent(context):
    return (yield context.call_activity("begin_child", None))


@app.activity_trigger(input_name="nothing")
@app.durable_client_input(client_name="client")
async def begin_child(nothing, client) -> str:
    child = await client.start_new("spread", client_input=2)
    await client.wait_for_orchestration_completion(child)
    return client.create_http_management_payload(child)["statusQueryGetUri"]


@app.orchestration_trigger(context_name="context")
def poison(context):
    try:
        yield context.call_activity("die", None)
    except Exception as error:
        return str(error)


@app.activity_trigger(input_name="nothing")
def die(nothing) -> None:
    if not Path(os.environ["EFFECTS"] + ".healed").exists():
        os._exit(7)
"""
WORKER = re.compile(r"Worker process (\d) \(PID (\d+)\) is at work")
TASKS = 60


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The repository's app with two worker processes."""
    host = Host(copy_app(tmp_path_factory.mktemp("workers") / "app"), "--workers", "2")
    try:
        yield host.start()
    finally:
        host.kill()


@pytest.fixture
def busy(tmp_path: Path, new_host: Callable[..., Host]) -> Host:
    """A small app with two worker processes; how many is said by the environment."""
    env = {"EFFECTS": str(tmp_path / "effects"), "FUNCTIONS_WORKER_PROCESS_COUNT": "2"}
    host = new_host(write_app(tmp_path / "app", CODE), env=env).start()
    eventually(lambda: len(set(pids(host))) == 2, "two workers")
    return host


def pids(host: Host) -> list[int]:
    """Of all workers that have been at work since the last start, in order."""
    return [int(pid) for _, pid in WORKER.findall(host.output())]


def begin(host: Host, name: str, value: object = None) -> str:
    reply = host.post(f"{WEBHOOK}/orchestrators/{name}", value)
    assert reply.status == 202, reply.body
    instance_id: str = reply.json["id"]
    return instance_id


def effects(host: Host) -> list[tuple[int, int]]:
    """PID and number of each run of ``work``."""
    path = host.folder.parent / "effects"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(pid), int(number)) for pid, number in map(str.split, lines)]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that nobody has waited for yet is dead all the same.
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(") ", 1)[1][0] != "Z"


def test_work_is_spread_and_reported_with_the_number_of_the_worker(busy: Host) -> None:
    instance_id = begin(busy, "spread", TASKS)

    status = busy.finished(instance_id)

    assert (status["output"], status["customStatus"]) == (list(range(TASKS)), "busy")
    runs = Counter(pid for pid, _ in effects(busy))
    assert set(runs) == set(pids(busy))
    assert min(runs.values()) >= TASKS // 4
    output = busy.output()
    assert len(re.findall(r"\[worker [12]\] spread begins", output)) == 1
    assert re.search(r"\[worker [12]\] Executed 'Functions\.work' \(Succeeded", output)


def test_clients_in_activities_reach_the_hub_and_know_the_address_of_the_host(busy: Host) -> None:
    url = busy.finished(begin(busy, "parent"))["output"]

    assert busy.get(url).json["output"] == [0, 1]


def test_a_killed_worker_is_replaced_and_its_work_is_done_by_others_at_once(busy: Host) -> None:
    instance_id = begin(busy, "spread", TASKS * 4)
    eventually(lambda: len(effects(busy)) > TASKS, "work under way")
    victim = pids(busy)[0]

    os.kill(victim, signal.SIGKILL)

    status = busy.finished(instance_id)
    assert status["output"] == list(range(TASKS * 4))
    again = [number for number, runs in Counter(n for _, n in effects(busy)).items() if runs > 1]
    assert 0 < len(again) <= 20  # no more than its slots
    assert f"(PID {victim}) was ended by SIGKILL. What it ran is given to others." in busy.output()
    eventually(lambda: len(pids(busy)) == 3, "another worker")


def test_a_worker_that_is_told_to_end_finishes_what_it_runs(busy: Host) -> None:
    instance_id = begin(busy, "spread", TASKS * 4)
    eventually(lambda: len(effects(busy)) > TASKS, "work under way")
    victim = pids(busy)[0]

    os.kill(victim, signal.SIGTERM)

    assert busy.finished(instance_id)["output"] == list(range(TASKS * 4))
    assert max(Counter(number for _, number in effects(busy)).values()) == 1
    assert f"(PID {victim}) has ended with exit code 0. Another one" in busy.output()


def test_workers_do_not_outlive_a_killed_host_and_everything_completes(busy: Host) -> None:
    instance_id = begin(busy, "spread", TASKS * 4)
    eventually(lambda: len(effects(busy)) > TASKS, "work under way")
    orphans = pids(busy)

    busy.kill()

    eventually(lambda: not any(map(is_alive, orphans)), "the end of the orphans", 5)
    busy.start()
    assert busy.finished(instance_id)["output"] == list(range(TASKS * 4))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_workers_drain_with_their_host(busy: Host, number: signal.Signals) -> None:
    begin(busy, "spread", TASKS)
    eventually(lambda: effects(busy), "work under way")
    workers = pids(busy)

    code = busy.stop(number)

    assert code == 0, busy.output()
    assert not any(map(is_alive, workers))
    assert "was ended by" not in busy.output()
    assert max(Counter(n for _, n in effects(busy)).values()) == 1


def test_what_kills_worker_after_worker_does_not_stop_others(busy: Host) -> None:
    guilty = begin(busy, "poison")
    eventually(lambda: busy.output().count("exit code 7") >= 4, "four dead workers")

    innocent = busy.finished(begin(busy, "spread", 10))

    assert innocent["output"] == list(range(10))
    assert busy.status(guilty)["runtimeStatus"] == "Running"
    (busy.folder.parent / "effects.healed").touch()
    assert busy.finished(guilty, 40)["runtimeStatus"] == "Completed"


def test_a_saved_app_is_run_by_new_workers(busy: Host, new_host: Callable[..., Host]) -> None:
    busy.kill()
    env = {"EFFECTS": str(busy.folder.parent / "effects")}
    host = new_host(busy.folder, "--watch", "--workers", "2", env=env).start()
    eventually(lambda: len(pids(host)) == 2, "two workers")
    before = pids(host)
    instance_id = begin(host, "spread", TASKS)
    eventually(lambda: effects(host), "work under way")

    path = host.folder / "function_app.py"
    path.write_text(CODE.replace("return number", "return number + 1000"), encoding="utf-8")

    host.wait_for_output("The app was loaded again.")
    assert host.finished(begin(host, "spread", 2))["output"] == [1000, 1001]
    assert len(host.finished(instance_id)["output"]) == TASKS
    assert max(Counter(n for _, n in effects(host)).values()) <= 2
    eventually(lambda: not any(map(is_alive, before)), "the end of the former workers")


def test_a_load_that_breaks_in_workers_alone_changes_nothing(
    busy: Host, new_host: Callable[..., Host]
) -> None:
    busy.kill()
    env = {"EFFECTS": str(busy.folder.parent / "effects")}
    host = new_host(busy.folder, "--watch", "--workers", "2", env=env).start()
    eventually(lambda: len(pids(host)) == 2, "two workers")

    # A worker process is begun with ``-c``, and a host is not.
    broken = "import sys\nif '-c' in sys.argv:\n    raise RuntimeError('not here')\n" + CODE
    (host.folder / "function_app.py").write_text(broken, encoding="utf-8")

    host.wait_for_output("The app was not loaded again")
    assert "not here" in host.output()
    assert host.finished(begin(host, "spread", 2))["output"] == [0, 1]
