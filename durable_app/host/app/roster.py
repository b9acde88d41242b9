"""The app as the host holds it: every function that was declared, and which of them run."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from durable_app.functions.index import AppIndex, FunctionFacts


class HostedFunction(NamedTuple):
    """One declared function.

    Attributes:
        facts: with every ``%NAME%`` of its bindings replaced by the app setting.
        is_disabled: by ``AzureWebJobs.NAME.Disabled``: listed, never run.
        error: the reason why it cannot run although the others do, a full sentence; None where
            nothing is wrong.
    """

    facts: FunctionFacts
    is_disabled: bool = False
    error: str | None = None

    @property
    def runs(self) -> bool:
        """Whether its trigger may call it."""
        return not self.is_disabled and self.error is None


@dataclasses.dataclass(frozen=True)
class HostedApp:
    """What function_app.py declares.

    Attributes:
        script_file: name of the file, ``function_app.py`` unless a setting says otherwise.
        functions: all of them in the order of declaration.
        index: those that run; what the worker and the client know.
        warnings: lines about what is likely not meant.
    """

    script_file: str
    functions: tuple[HostedFunction, ...]
    index: AppIndex
    warnings: tuple[str, ...] = ()
