"""A logger that is silent in replays.

Under this package's own host every logger is, within an orchestrator. In Azure and in other hosts
it takes this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logging import Logger, LoggerAdapter

    from durable_app.replay.context import OrchestrationContext


class ReplaySafeLogger:
    """Hands on to a logger what is logged for the first time.

    It has the attributes of the logger that it was made with.

    Args:
        logger: of ``logging.getLogger``, or an adapter of one.
        context: of the orchestration.
    """

    def __init__(self, logger: Logger | LoggerAdapter[Any], context: OrchestrationContext) -> None:
        self.logger = logger
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self.logger, name)

    # Named here, that they look at the context at the call and not when they are read.

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  its name in logging
        """Whether a message of the level would be shown now."""
        return not self._context.is_replaying and self.logger.isEnabledFor(level)

    def log(self, level: int, msg: object, *args: Any, **options: Any) -> None:
        """As ``logging.Logger.log``."""
        self._log("log", options, level, msg, *args)

    def debug(self, msg: object, *args: Any, **options: Any) -> None:
        """As ``logging.Logger.debug``."""
        self._log("debug", options, msg, *args)

    def info(self, msg: object, *args: Any, **options: Any) -> None:
        """As ``logging.Logger.info``."""
        self._log("info", options, msg, *args)

    def warning(self, msg: object, *args: Any, **options: Any) -> None:
        """As ``logging.Logger.warning``."""
        self._log("warning", options, msg, *args)

    def error(self, msg: object, *args: Any, **options: Any) -> None:
        """As ``logging.Logger.error``."""
        self._log("error", options, msg, *args)

    def exception(self, msg: object, *args: Any, **options: Any) -> None:
        """As ``logging.Logger.exception``."""
        self._log("exception", options, msg, *args)

    def critical(self, msg: object, *args: Any, **options: Any) -> None:
        """As ``logging.Logger.critical``."""
        self._log("critical", options, msg, *args)

    def _log(self, method: str, options: dict[str, Any], *args: Any) -> None:
        if not self._context.is_replaying:
            # Two frames lie between the user's line and the logger.
            options["stacklevel"] = options.get("stacklevel", 1) + 2
            getattr(self.logger, method)(*args, **options)
