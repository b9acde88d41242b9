"""SIGTERM under load: what was accepted is answered, nothing is stuck after the next start."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.harness import WEBHOOK, Host, write_app

CODE = """
import time
import azure.functions as func
import durable_app as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="orders/{id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def order(req: func.HttpRequest, client) -> func.HttpResponse:
    instance_id = await client.start_new("ship", req.route_params["id"], [1, 2, 3])
    return client.create_check_status_response(req, instance_id)

@app.route(route="wait/{id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def wait(req: func.HttpRequest, client) -> func.HttpResponse:
    instance_id = await client.start_new("forever", req.route_params["id"])
    return await client.wait_for_completion_or_create_check_status_response(req, instance_id, 60000)

@app.orchestration_trigger(context_name="context")
def ship(context):
    return (yield context.task_all([context.call_activity("pack", n) for n in context.get_input()]))

@app.orchestration_trigger(context_name="context")
def forever(context):
    yield context.wait_for_external_event("never")

@app.activity_trigger(input_name="number")
def pack(number: int) -> int:
    time.sleep(0.01)
    return number * 2
"""
CLIENTS = 8
LOAD_S = 1.5
# What the host promises, and some time for a loaded machine.
STOP_S = 10.0 + 2.0


class Caller(threading.Thread):
    """Orders one after the other on one connection, until the host is gone."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._port = port
        self.accepted: list[str] = []
        self.unread: list[str] = []
        self.lost: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=STOP_S)
        number = 0
        while True:
            order = f"{self.name}-{number}"
            number += 1
            try:
                connection.request("POST", f"/api/orders/{order}", b"")
            except OSError:
                return  # refused or closed before it was sent: never accepted
            try:
                answer = connection.getresponse()
                body = answer.read()
            except http.client.RemoteDisconnected:
                return  # an idle connection that was closed at the same moment
            except ConnectionResetError:
                self.unread.append(order)  # likewise, with the request in the socket's buffer
                return
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(f"{order}: {error!r}")
                return
            if answer.status == 202:
                self.accepted.append(json.loads(body)["id"])
            elif answer.status != 503:
                self.lost.append(f"{order}: {answer.status}")
            if answer.getheader("Connection", "").lower() == "close":
                return


def test_sigterm_under_load_loses_nothing(tmp_path: Path, new_host: Callable[..., Host]) -> None:
    host = new_host(write_app(tmp_path / "app", CODE)).start()
    callers = [Caller(host.port, f"caller{number}") for number in range(CLIENTS)]
    patient: list[int] = []
    waiting = threading.Thread(
        target=lambda: patient.append(host.request("POST", "/api/wait/w1", b"").status)
    )
    waiting.start()
    for caller in callers:
        caller.start()
    time.sleep(LOAD_S)
    began = time.monotonic()
    assert host.stop() == 0
    took_s = time.monotonic() - began
    for caller in callers:
        caller.join(STOP_S)
    waiting.join(STOP_S)

    accepted = [order for caller in callers for order in caller.accepted]
    assert [loss for caller in callers for loss in caller.lost] == []
    assert took_s < STOP_S
    assert len(accepted) > CLIENTS
    # The one that waits for an orchestration that will not end is told where to look.
    assert patient == [202]

    host.start()
    for order in accepted:
        assert host.finished(order)["output"] == [2, 4, 6]
    # Nobody had read them: a caller that sends one again makes nothing twice.
    for caller in callers:
        for order in caller.unread:
            assert host.get(f"{WEBHOOK}/instances/{order}").status == 404
    unfinished = host.get(f"{WEBHOOK}/instances/?runtimeStatus=Running,Pending").json
    assert [row["instanceId"] for row in unfinished] == ["w1"]
