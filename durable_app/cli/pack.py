"""``func pack``: the app and its packages as one zip file, ready for deployment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from durable_app.cli.options import CommandParser, command_parser, fail
from durable_app.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

#: Whatever .funcignore says: secrets, local state, the packages of this machine.
_NEVER: Final = (
    ".git/",
    ".durable/",
    ".venv/",
    "__pycache__/",
    "/.python_packages/",
    "/local.settings.json",
    "/.funcignore",
)
_PACKAGES: Final = ".python_packages/lib/site-packages"
_SCRIPT_NAME: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_\-]*\.py")
# The zip format knows no time before this.
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)


def pack(argv: Sequence[str]) -> int:
    """Write the zip file; return the exit code."""
    args = _parser().parse_args(argv)
    try:
        _pack(args)
    except ConfigError as error:
        return fail(error)
    except OSError as error:
        return fail(f"{error.filename}: {error.strerror}")
    return 0


def _parser() -> CommandParser:
    parser = command_parser("func pack", "Zip the app for deployment.")
    add = parser.add_argument
    add("folder", nargs="?", metavar="DIR", help="folder of the app (the current one)")
    add("-o", "--output", metavar="PATH", help="the zip file, or the folder that it goes into")
    add("--no-build", action="store_true", help="leave the packages of requirements.txt out")
    add("--build-native-deps", action="store_true", help="accepted, no effect")
    return parser


def _pack(args: argparse.Namespace) -> None:
    folder = Path(args.script_root).resolve()
    if args.folder:
        folder = (folder / args.folder).resolve()
    _validate(folder)
    target = _target(folder, args.output)
    ignored = _ignored(folder)
    partial = target.with_name(target.name + ".partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, name in _files(folder, ignored):
                if path not in {target, partial}:
                    _add(archive, path, name)
            if not args.no_build:
                _add_packages(archive, folder)
        # A zip file is there whole or not at all.
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    print(f"Packed {folder} into {target}.")


def _validate(folder: Path) -> None:
    """Refuse a folder that Azure would refuse.

    Raises:
        ConfigError: it is no app, or one of both models.
    """
    for name in ("host.json", "requirements.txt"):
        if not (folder / name).is_file():
            raise ConfigError(f"{folder} has no {name}. Run `func init` there, or name the folder.")
    script = os.environ.get("PYTHON_SCRIPT_FILE_NAME") or "function_app.py"
    if _SCRIPT_NAME.fullmatch(script) is None:
        raise ConfigError(f"PYTHON_SCRIPT_FILE_NAME '{script}' is no valid file name.")
    is_v2 = (folder / script).is_file()
    is_v1 = any(folder.glob("*/function.json"))
    if is_v1 and is_v2:
        raise ConfigError(
            f"{folder} has {script} and function.json files: Azure runs one model only. Remove"
            " what is left of the other."
        )
    if is_v1:
        raise ConfigError(
            f"{folder} is a function.json app, which durable-app does not run. Decorate the"
            f" functions in {script}, or pack it with Azure Functions Core Tools."
        )
    if not is_v2:
        raise ConfigError(f"{folder} has no {script}. Run `func init` there, or name the folder.")


def _target(folder: Path, output: str | None) -> Path:
    name = f"{folder.name or 'app'}.zip"
    if output is None:
        return Path.cwd() / name
    path = Path(output).expanduser().resolve()
    return path if path.suffix == ".zip" else path / name


def _ignored(folder: Path) -> Callable[[str], bool]:
    """Whether .funcignore keeps a path out; folders end with a slash."""
    try:
        import pathspec
    except ImportError as error:
        raise ConfigError(
            "func pack needs the package pathspec: pip install 'durable-app[local]'"
        ) from error
    path = folder / ".funcignore"
    lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
    # What must never go comes last: a later pattern wins over an exception before it.
    return pathspec.PathSpec.from_lines("gitignore", [*lines, *_NEVER]).match_file


def _files(folder: Path, ignored: Callable[[str], bool]) -> Iterator[tuple[Path, str]]:
    """Each file with its name in the zip file, sorted; links are followed as files only."""
    for root, folders, names in os.walk(folder):
        here = Path(root).relative_to(folder)
        folders[:] = sorted(
            name
            for name in folders
            if not ignored(f"{(here / name).as_posix()}/")
            and not (Path(root) / name / "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            relative = (here / name).as_posix()
            if not ignored(relative):
                yield Path(root) / name, relative


def _add_packages(archive: zipfile.ZipFile, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="func-pack-") as target:
        print("Installing the packages of requirements.txt...")
        done = subprocess.run(  # noqa: S603  this interpreter's own pip
            [
                *(sys.executable, "-m", "pip", "install", "--disable-pip-version-check"),
                *("--quiet", "--target", target, "-r", str(folder / "requirements.txt")),
            ],
            cwd=folder,
            check=False,
        )
        if done.returncode:
            raise ConfigError(
                "pip could not install the packages of requirements.txt (see above). Mend it, or"
                " leave them out with --no-build."
            )
        for path in sorted(Path(target).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                _add(archive, path, f"{_PACKAGES}/{path.relative_to(target).as_posix()}")


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    entry = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
    entry.date_time = max(entry.date_time, _EARLIEST)
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, path.read_bytes())
