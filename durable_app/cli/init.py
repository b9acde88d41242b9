"""``func init``: writes the files of a new app."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from durable_app.cli.new import APP_SOURCE
from durable_app.cli.options import CommandParser, command_parser, fail
from durable_app.cli.source_edit import APP_FILE
from durable_app.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_BUNDLES: Final = {
    "GA": "Microsoft.Azure.Functions.ExtensionBundle",
    "Preview": "Microsoft.Azure.Functions.ExtensionBundle.Preview",
    "Experimental": "Microsoft.Azure.Functions.ExtensionBundle.Experimental",
}
_BUNDLE_VERSION: Final = "[4.*, 5.0.0)"

_REQUIREMENTS: Final = """\
# Azure installs these beside the app. The worker itself brings azure-functions-worker: do not
# list it here.
azure-functions
durable_app
"""

_GITIGNORE: Final = """\
# Azure Functions: settings of this machine and local state
local.settings.json
.durable/
.python_packages/
__azurite_*
__blobstorage__
__queuestorage__

# Python
__pycache__/
*.py[cod]
*.egg-info/
.venv/
venv/
env/
build/
dist/

# Tools
.coverage
.mypy_cache/
.pytest_cache/
.ruff_cache/
.idea/
.DS_Store
"""

_FUNCIGNORE: Final = """\
.git*
.vscode
.idea
.durable
.mypy_cache
.pytest_cache
.ruff_cache
__azurite_*
__blobstorage__
__pycache__
__queuestorage__
local.settings.json
getting_started.md
test
tests
"""

_GETTING_STARTED: Final = """\
# Getting started

    pip install "durable-app[local]"
    func new --template "Function chaining" --name hello
    func start

`func start` prints the URL of each HTTP function. Start the orchestration and look at it:

    curl -X POST localhost:7071/api/hello
    func durable get-instances

| file | what it is for |
|---|---|
| function_app.py | the app: functions, and the blueprints of other files |
| host.json | options of the host, here and in Azure |
| local.settings.json | settings of this machine; in Azure they are app settings |
| requirements.txt | packages that Azure installs |
| .funcignore | what stays out of a deployment |

`func templates list` shows what `func new` can write, `func --help` all commands. Instances are
kept in `.durable/`; `func durable delete-task-hub` starts anew.
"""

_DOCKERFILE: Final = """\
# Azure's host: it runs HTTP, timer and queue functions. Orchestrations and entities do not run in
# it yet. In a container `func worker` runs them: FROM python:{version}-slim,
# RUN pip install "durable-app[azure]" -r requirements.txt, CMD ["func", "worker"].
FROM mcr.microsoft.com/azure-functions/python:4-python{version}

ENV AzureWebJobsScriptRoot=/home/site/wwwroot \\
    AzureFunctionsJobHost__Logging__Console__IsEnabled=true

COPY requirements.txt /
RUN pip install -r /requirements.txt

COPY . /home/site/wwwroot
"""

_DOCKERIGNORE: Final = """\
.durable
.git
.venv
local.settings.json
"""


def init(argv: Sequence[str]) -> int:
    """Write the files; return the exit code."""
    args = _parser().parse_args(argv)
    try:
        _init(args)
    except ConfigError as error:
        return fail(error)
    except OSError as error:
        return fail(f"{error.filename}: {error.strerror}")
    return 0


def _parser() -> CommandParser:
    parser = command_parser("func init", "Create an app in a folder.")
    add = parser.add_argument
    add("folder", nargs="?", metavar="DIR", help="where, created if need be (the current folder)")
    add("--worker-runtime", "--language", default="python", metavar="NAME", help="python")
    add("-m", "--model", default="v2", type=str.casefold, metavar="NAME", help="v2")
    add("--force", action="store_true", help="write over files that exist")
    add("--source-control", action="store_true", help="make the folder a git repository")
    add("--no-docs", action="store_true", help="no getting_started.md")
    add("--docker", action="store_true", help="write a Dockerfile, too")
    add("--docker-only", action="store_true", help="write the Dockerfile only")
    add("--no-bundle", action="store_true", help="no extension bundle in host.json")
    add("-c", "--bundles-channel", default="GA", choices=tuple(_BUNDLES), help="of the bundle")
    add("--python", "--csx", action="store_true", help="accepted, no effect")
    return parser


def _init(args: argparse.Namespace) -> None:
    if args.worker_runtime.casefold() != "python":
        raise ConfigError(
            f"durable-app makes Python apps, none for {args.worker_runtime}. Leave"
            " --worker-runtime out."
        )
    if args.model not in {"v2", "2"}:
        raise ConfigError(
            f"Model {args.model} (function.json) is not supported: functions are decorated here."
            " Leave --model out."
        )
    folder = Path(args.script_root).resolve()
    if args.folder:
        folder = (folder / args.folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in _files(args, folder).items():
        _write(folder / name, text, force=args.force)
    if args.source_control:
        _make_repository(folder)


def _files(args: argparse.Namespace, folder: Path) -> dict[str, str]:
    """Text of each file by its path below the folder."""
    docker = {"Dockerfile": _dockerfile(), ".dockerignore": _DOCKERIGNORE}
    if args.docker_only:
        return docker
    files = {
        "requirements.txt": _REQUIREMENTS,
        APP_FILE: APP_SOURCE,
        ".gitignore": _GITIGNORE,
        "host.json": _json(_host_json(args)),
        "local.settings.json": _json(
            {
                "IsEncrypted": False,
                "Values": {
                    "FUNCTIONS_WORKER_RUNTIME": "python",
                    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
                },
            }
        ),
        ".vscode/extensions.json": _json(
            {"recommendations": ["ms-azuretools.vscode-azurefunctions", "ms-python.python"]}
        ),
        ".funcignore": _FUNCIGNORE + _environment_name(folder) + "\n",
    }
    if not args.no_docs:
        files["getting_started.md"] = _GETTING_STARTED
    return files | docker if args.docker else files


def _host_json(args: argparse.Namespace) -> dict[str, Any]:
    host: dict[str, Any] = {
        "version": "2.0",
        "logging": {
            "applicationInsights": {
                "samplingSettings": {"isEnabled": True, "excludedTypes": "Request"}
            }
        },
    }
    if not args.no_bundle:
        host["extensionBundle"] = {
            "id": _BUNDLES[args.bundles_channel],
            "version": _BUNDLE_VERSION,
        }
    return host


def _environment_name(folder: Path) -> str:
    """Name of the virtual environment, which must not be deployed."""
    prefix = Path(sys.prefix).resolve()
    return prefix.name if prefix.parent == folder else ".venv"


def _dockerfile() -> str:
    return _DOCKERFILE.format(version=f"{sys.version_info.major}.{sys.version_info.minor}")


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"


def _write(path: Path, text: str, *, force: bool) -> None:
    shown = path.name if path.parent.name != ".vscode" else f".vscode/{path.name}"
    if path.exists() and not force:
        print(f"{shown} already exists. Skipped!")
        return
    print(f"Writing {shown}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _make_repository(folder: Path) -> None:
    if (folder / ".git").exists():
        print("Directory already a git repository.")
        return
    try:
        subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)  # noqa: S607  git of PATH
    except (OSError, subprocess.CalledProcessError) as error:
        raise ConfigError(f"git could not make a repository: {error}") from error
    print("Initialized an empty git repository.")
