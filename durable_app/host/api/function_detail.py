"""One function as the admin API describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from durable_app.host.calls.invoke import HTTP_TRIGGER
from durable_app.host.console.function_list import route_of

if TYPE_CHECKING:
    from pathlib import Path

    from durable_app.host.app.roster import HostedFunction


def detail(
    function: HostedFunction, script_file: str, folder: Path, route_prefix: str, origin: str
) -> dict[str, Any]:
    """JSON-ready description of a function.

    Args:
        origin: scheme and authority under which the caller reaches the host.
        route_prefix: of HTTP functions.
    """
    facts = function.facts
    name = quote(facts.name, safe="")
    files = f"{origin}/admin/vfs"
    is_http = facts.trigger_type == HTTP_TRIGGER
    return {
        "name": facts.name,
        "script_root_path_href": f"{files}/",
        "script_href": f"{files}/{quote(script_file)}",
        "config_href": None,  # what function.json would say is in the code
        "test_data_href": f"{files}/data/Functions/sampledata/{name}.dat",
        "href": f"{origin}/admin/functions/{name}",
        "invoke_url_template": f"{origin}/{route_of(facts, route_prefix)}" if is_http else None,
        "language": "python",
        "config": {
            "name": facts.name,
            "functionDirectory": str(folder),
            "scriptFile": script_file,
            "entryPoint": facts.name,
            "language": "python",
            "bindings": [dict(binding) for binding in facts.bindings],
        },
        "files": None,
        "test_data": "",
        "isDisabled": function.is_disabled,
        "isDirect": False,
        "isProxy": False,
    }
