"""Scheduled task: a report at certain times of the week, in the time zone of those who read it.

    curl -X POST localhost:7071/api/report-schedules/sales \
         -d '{"cron": "0 7 * * MON-FRI", "time_zone": "Europe/Berlin"}'     # create or change
    curl localhost:7071/api/report-schedules/sales                          # read
    curl -X POST localhost:7071/api/report-schedules/sales/pause            # pause, resume, trigger
    curl -X DELETE localhost:7071/api/report-schedules/sales                # delete

Unlike a timer trigger, which is part of the code, schedules are made, changed and removed while the
app runs, any number of them. They are stored with the orchestrations and outlive a restart.
"""

import json
from collections.abc import Generator
from typing import Any

import azure.functions as func
from pydantic import BaseModel, Field, ValidationError

import durable_app as df

bp = df.Blueprint()
# Adds the entity and the orchestrators that schedules are made of.
bp.configure_scheduled_tasks()


class ReportPlan(BaseModel):
    """Body of the request that creates a schedule."""

    cron: str = "0 7 * * MON-FRI"
    time_zone: str = "UTC"
    rows: int = Field(default=3, ge=1, le=1000)


@bp.route(route="report-schedules/{name}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def schedule_report(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Create the schedule, or change it. A report that takes long makes the next one wait."""
    name = req.route_params["name"]
    try:
        plan = ReportPlan.model_validate_json(req.get_body() or b"{}")
        options = df.ScheduleCreationOptions(
            name,
            scheduled_report,
            orchestration_input={"name": name, "rows": plan.rows},
            cron=plan.cron,
            time_zone=plan.time_zone,
            overlap=df.OverlapPolicy.BUFFER_ONE,
        )
        schedule = await df.AsyncScheduledTaskClient(client).create_schedule(options)
    except (ValidationError, df.ScheduleClientValidationError) as error:
        return func.HttpResponse(str(error), status_code=400)
    return _json(_shown(await schedule.describe()), 201)


@bp.route(route="report-schedules/{name}", methods=["GET"])
@bp.durable_client_input(client_name="client")
async def read_report_schedule(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """What the schedule is, and when it runs next."""
    schedules = df.AsyncScheduledTaskClient(client)
    found = await schedules.get_schedule(req.route_params["name"])
    return _not_found() if found is None else _json(_shown(found))


@bp.route(route="report-schedules/{name}/{action}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def steer_report_schedule(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Hold the schedule, let it go on, or make one report now."""
    try:
        schedule = df.AsyncScheduleClient(client, req.route_params["name"])
        match req.route_params["action"]:
            case "pause":
                await schedule.pause()
            case "resume":
                await schedule.resume()
            case "trigger":
                # With BUFFER_ONE no run is left out, so that there always is an id.
                instance_id = await schedule.trigger() or ""
                return client.create_check_status_response(req, instance_id)
            case _:
                return _not_found()
    except (df.ScheduleNotFoundError, df.ScheduleClientValidationError):
        # The other one: no schedule can have such a name.
        return _not_found()
    except df.ScheduleInvalidTransitionError as error:
        return func.HttpResponse(str(error), status_code=409)
    return _json(_shown(await schedule.describe()))


@bp.route(route="report-schedules/{name}", methods=["DELETE"])
@bp.durable_client_input(client_name="client")
async def delete_report_schedule(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Remove the schedule; a report in progress is still written."""
    try:
        await df.AsyncScheduleClient(client, req.route_params["name"]).delete()
    except df.ScheduleClientValidationError:
        return _not_found()
    return func.HttpResponse(status_code=204)


@bp.orchestration_trigger(context_name="context")
def scheduled_report(
    context: df.DurableOrchestrationContext,
) -> Generator[Any, Any, dict[str, str]]:
    """One report; the orchestration's own time says what it is about."""
    order = context.get_input()
    day = f"{context.current_utc_datetime:%Y-%m-%d}"
    figures = yield context.call_activity(collect_figures, order["rows"])
    text = yield context.call_activity(render_report, {**order, "day": day, "figures": figures})
    return {"day": day, "text": text}


@bp.activity_trigger(input_name="rows")
def collect_figures(rows: int) -> list[int]:
    """Stands for a query."""
    return [100 * number for number in range(1, rows + 1)]


@bp.activity_trigger(input_name="report")
def render_report(report: dict[str, Any]) -> str:
    """Stands for a page or a mail; returns its text."""
    return f"{report['name']}, {report['day']}: {sum(report['figures'])} in total"


def _shown(schedule: df.ScheduleDescription) -> dict[str, Any]:
    following = schedule.next_run_at
    return {
        "name": schedule.schedule_id,
        "status": schedule.status.value,
        "cron": schedule.cron,
        "time_zone": schedule.time_zone,
        "next_run_at": None if following is None else following.isoformat(),
        "running": schedule.running_instance_id,
    }


def _json(value: Any, status_code: int = 200) -> func.HttpResponse:
    return func.HttpResponse(
        json.dumps(value), status_code=status_code, mimetype="application/json"
    )


def _not_found() -> func.HttpResponse:
    return func.HttpResponse("There is no such schedule.", status_code=404)
