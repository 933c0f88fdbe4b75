"""How processes log: structlog, one line an event, JSON or text, on standard output.

Standard error is for the one line that a command says when it cannot start. What people write is
never logged: a processor drops every field that could carry it, so that a careless call cannot.
uvicorn's and other libraries' loggers come out the same way; of theirs, below debug, only warnings.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.types import EventDict, Processor

# Fields that carry what people wrote, or what opens their conversations.
SECRET_FIELDS = frozenset(
    {
        "answer", "authorization", "body", "content", "cookie", "frame", "handle", "jwt", "key",
        "messages", "password", "prompt", "resume", "text", "token", "url",
    }
)  # fmt: skip
LIBRARIES = ("uvicorn", "asyncio", "httpx", "httpcore", "aiohttp", "redis")


def set_up(level: str, style: str, **bound: Any) -> None:
    """Configure this process. ``style`` is PARLEY_LOG_FORMAT; ``bound`` stands in every line."""
    text = style == "text" or (style == "auto" and sys.stdout.isatty())
    shared: list[Processor] = [
        _with(bound),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f" if text else "iso", utc=not text),
        without_secrets,
    ]
    shown: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if text:
        # A traceback of its own would show every local variable: messages, prompts, tokens.
        plain = structlog.dev.plain_traceback
        colours = sys.stdout.isatty()
        shown.append(structlog.dev.ConsoleRenderer(28, colours, exception_formatter=plain))
    else:
        shown += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=shown)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in LIBRARIES:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.NOTSET if level == "debug" else logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def without_secrets(logger: Any, method: str, event: EventDict) -> EventDict:
    """Replace what must not be logged by its length, which is what a log needs of it."""
    for field in SECRET_FIELDS & event.keys():
        value = event[field]
        event[field] = (
            f"<{len(value)} withheld>" if isinstance(value, str | bytes) else "<withheld>"
        )
    return event


def _with(bound: MutableMapping[str, Any]) -> Processor:
    def add(logger: Any, method: str, event: EventDict) -> EventDict:
        return {**bound, **event}

    return add
