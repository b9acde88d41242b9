"""Asynchronous HTTP API: answer at once, let the caller ask how it goes.

    curl -i -X POST localhost:7071/api/orchestrators/hello_cities    # any orchestrator by its name
    curl -i -X POST localhost:7071/api/reports -d '{"title": "Sales", "pages": 3}'
    curl -i localhost:7071/api/reports/<id from the answer>

The first route is for operators: its answer holds the management URLs of the new instance. The
other two are what customers get: they see a report, and nothing of orchestrations.
"""

import json
from collections.abc import Generator
from typing import Any

import azure.functions as func
from pydantic import BaseModel, Field, ValidationError

import durable_app as df

bp = df.Blueprint()


@bp.route(route="orchestrators/{function_name}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def start_orchestrator(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Start an orchestrator. A JSON body is its input, ?instance_id=... its id; both optional."""
    name, instance_id = req.route_params["function_name"], req.params.get("instance_id")
    try:
        payload = req.get_json() if req.get_body() else None
    except ValueError:
        return _problem(400, "The body is no JSON.")
    try:
        instance_id = await client.start_new(name, instance_id, payload)
    except df.InstanceExistsError as error:
        return _problem(409, str(error))
    except df.DefinitionError as error:
        return _problem(404, str(error))
    except df.DurableError as error:
        return _problem(503 if error.retriable else 400, str(error))
    except ValueError as error:
        return _problem(400, str(error))
    return client.create_check_status_response(req, instance_id)


class Report(BaseModel):
    """What customers ask for."""

    title: str = Field(min_length=1)
    pages: int = Field(default=1, ge=1, le=1000)


@bp.route(route="reports", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def order_report(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Take an order: 202 and where to look."""
    try:
        report = Report.model_validate_json(req.get_body())
    except ValidationError as error:
        return _problem(400, f"{error.errors()[0]['loc']}: {error.errors()[0]['msg']}")
    report_id = await client.start_new("build_report", client_input=report)
    location = f"{req.url.partition('?')[0]}/{report_id}"
    return _answer(202, {"id": report_id, "status": "ordered"}, {"Location": location})


@bp.route(route="reports/{report_id}", methods=["GET"])
@bp.durable_client_input(client_name="client")
async def report_status(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """202 while it is being made, 200 with the report, 404 for an unknown one."""
    report_id = req.route_params["report_id"]
    status = await client.get_status(report_id)
    if not status or status.name != "build_report":
        return _problem(404, "No such report.")
    if status.runtime_status is df.OrchestrationRuntimeStatus.Completed:
        return _answer(200, {"id": report_id, "status": "ready", "report": status.output})
    if status.runtime_status in {
        df.OrchestrationRuntimeStatus.Failed,
        df.OrchestrationRuntimeStatus.Terminated,
    }:
        return _answer(500, {"id": report_id, "status": "failed"})
    progress = {"id": report_id, "status": "in progress", "pages_done": status.custom_status or 0}
    return _answer(202, progress, {"Retry-After": "1"})


@bp.orchestration_trigger(context_name="context", input_type=Report)
def build_report(context: df.DurableOrchestrationContext) -> Generator[Any, Any, str]:
    """Write the pages; the custom status says how many there are."""
    report: Report = context.get_input()
    text = ""
    for number in range(1, report.pages + 1):
        text += yield context.call_activity(write_page, {"title": report.title, "number": number})
        context.set_custom_status(number)
    return text


@bp.activity_trigger(input_name="page")
def write_page(page: dict[str, Any]) -> str:
    """One page."""
    return f"{page['title']}, page {page['number']}\n"


def _answer(
    status_code: int, body: dict[str, Any], headers: dict[str, str] | None = None
) -> func.HttpResponse:
    return func.HttpResponse(
        json.dumps(body), status_code=status_code, mimetype="application/json", headers=headers
    )


def _problem(status_code: int, text: str) -> func.HttpResponse:
    return _answer(status_code, {"error": text})
