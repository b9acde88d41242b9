"""Schedules on real hosts, on the real clock, and over a death of the host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.harness import Host, copy_app, eventually

NewHost = Callable[..., Host]

EVERY_SECOND = {"cron": "* * * * * *", "rows": 2}


def runs(host: Host) -> list[dict[str, Any]]:
    return [each for each in host.every_instance() if each["name"] == "scheduled_report"]


def test_a_schedule_outlives_its_host(tmp_path: Path, new_host: NewHost) -> None:
    app = copy_app(tmp_path / "app")
    host = new_host(app).start()
    created = host.post("/api/report-schedules/sales", EVERY_SECOND)
    assert (created.status, created.json["status"]) == (201, "Active")
    eventually(lambda: len(runs(host)) >= 2, "two runs")

    host.kill()
    host.start()

    known = {each["instanceId"] for each in runs(host)}
    eventually(lambda: len(runs(host)) >= len(known) + 2, "two more runs")
    ids = [each["instanceId"] for each in runs(host)]
    assert len(set(ids)) == len(ids)
    assert all(each["runtimeStatus"] != "Failed" for each in runs(host))

    assert host.post("/api/report-schedules/sales/pause").json["next_run_at"] is None
    assert host.post("/api/report-schedules/sales/pause").status == 409
    links = host.post("/api/report-schedules/sales/trigger").json
    assert host.finished(links["id"])["output"]["text"].startswith("sales, 20")
    assert host.request("DELETE", "/api/report-schedules/sales").status == 204
    assert host.get("/api/report-schedules/sales").status == 404
    assert host.stop() == 0
