"""The environment variables that Parley reads.

A variable is a row of ``VARIABLES``: its name, how its text becomes a value, the default and what
it means. ``docs/settings.md`` and ``deploy/env.example`` list the same rows; a test compares them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from service.core import parsers


class Variable(msgspec.Struct, frozen=True):
    """One environment variable: where it goes, how it is read, and what it means."""

    name: str
    field: str
    parse: Callable[[str], Any]
    default: str
    meaning: str


def _maybe_path(text: str) -> Path | None:
    return Path(text) if text else None


VARIABLES: tuple[Variable, ...] = (
    Variable(
        "PARLEY_REDIS_URL",
        "redis_url",
        parsers.redis_url,
        "",
        "Redis >= 7.2 or Valkey >= 8: `redis://`, `rediss://` or `unix://`. `serve` falls back to "
        "`REDIS_URL`; `demo` does not.",
    ),
    Variable(
        "PARLEY_EMBEDDED",
        "embedded",
        parsers.yes,
        "0",
        "1 lets `serve` start a Valkey of its own. For one host only: two would be two tiers.",
    ),
    Variable(
        "PARLEY_DATA",
        "data",
        Path,
        ".parley",
        "Where an embedded Valkey keeps its data, and where commands find their instance.",
    ),
    Variable(
        "PARLEY_MODEL_URL",
        "model_url",
        parsers.model_url,
        "https://open.bigmodel.cn/api/paas/v4",
        "Base of the model's API; `/chat/completions` is appended.",
    ),
    Variable(
        "PARLEY_MODEL_KEY",
        "model_key",
        parsers.maybe,
        "",
        "The account's key. Unset: `demo` starts the simulator, `serve` refuses to start.",
    ),
    Variable("PARLEY_MODEL", "model", parsers.word, "glm-4-flashx-250414", "The model's name."),
    Variable(
        "PARLEY_TIER",
        "tier",
        parsers.tier,
        "V0",
        "Requests in flight that the account allows: V0 (50), V1 (100), V2 (300), V3 (500) or a "
        "number.",
    ),
    Variable(
        "PARLEY_SITES",
        "sites",
        _maybe_path,
        "",
        "The file that declares the shops. `demo` has one of its own.",
    ),
    Variable(
        "PARLEY_HOST",
        "host",
        parsers.maybe,
        "",
        "Address to listen on. Unset: 127.0.0.1 for `demo`, 0.0.0.0 for `serve`.",
    ),
    Variable(
        "PORT", "port", parsers.whole(0, 65535), "8000", "Port to listen on; 0 takes a free one."
    ),
    Variable("WEB_CONCURRENCY", "workers", parsers.whole(1, 256), "2", "Worker processes."),
    Variable(
        "PARLEY_ORIGIN",
        "origin",
        parsers.origin,
        "",
        "Parley's own origin. Unset: the request's, where its Origin's host equals its Host.",
    ),
    Variable(
        "PARLEY_TRUSTED_PROXIES",
        "trusted_proxies",
        parsers.networks,
        "",
        "CIDRs of the proxies whose X-Forwarded-For is believed; the customer is the right-most "
        "hop outside them.",
    ),
    Variable(
        "PARLEY_DRAIN_S",
        "drain_s",
        parsers.seconds(0, 3600),
        "30",
        "Seconds within which `serve` is gone after SIGTERM.",
    ),
    Variable(
        "PARLEY_ABORT_LINGER",
        "abort_linger_s",
        parsers.seconds(0, 60),
        "1",
        "Seconds before the permit of an aborted request is used again.",
    ),
    Variable(
        "PARLEY_RELEASE_LINGER",
        "release_linger_s",
        parsers.seconds(0, 5),
        "0",
        "The same after a request that ended by itself: for a provider that is known to count it "
        "for longer than its last byte. What is not known is learned from its refusals.",
    ),
    Variable(
        "PARLEY_QUEUE_WAIT_S",
        "queue_wait_s",
        parsers.seconds(1, 3600),
        "120",
        "Seconds that a customer's turn may wait for a permit; a longer ETA is refused at once.",
    ),
    Variable(
        "PARLEY_CONTEXT_TOKENS",
        "context_tokens",
        parsers.whole(500, 128_000),
        "12000",
        "Model tokens of context for one answer, by our own estimate.",
    ),
    Variable(
        "PARLEY_ANSWER_TOKENS",
        "answer_tokens",
        parsers.whole(1, 16_000),
        "800",
        "Model tokens an answer may have.",
    ),
    Variable(
        "PARLEY_FRAME_BYTES",
        "frame_bytes",
        parsers.whole(1024, 65_536),
        "16384",
        "Largest frame a customer may send, in bytes; a larger one closes 4508.",
    ),
    Variable(
        "PARLEY_MESSAGE_UNITS",
        "message_units",
        parsers.whole(1, 10_000),
        "2000",
        "Longest message a customer may send, in UTF-16 units.",
    ),
    Variable(
        "PARLEY_MESSAGES_PER_MINUTE",
        "messages_per_minute",
        parsers.whole(1, 6000),
        "20",
        "Messages a customer may send in a minute.",
    ),
    Variable(
        "PARLEY_SOCKETS_PER_CUSTOMER",
        "sockets_per_customer",
        parsers.whole(1, 1000),
        "5",
        "Sockets of one customer on one worker; the next closes the oldest with 4409.",
    ),
    Variable(
        "PARLEY_SOCKETS_PER_ADDRESS",
        "sockets_per_address",
        parsers.whole(1, 100_000),
        "20",
        "Sockets of one address on one worker (loopback excepted); the next is closed with 4429.",
    ),
    Variable(
        "PARLEY_SESSIONS_PER_MINUTE",
        "sessions_per_minute",
        parsers.whole(1, 100_000),
        "30",
        "Sessions that one address may begin in a minute on one worker (loopback excepted).",
    ),
    Variable(
        "PARLEY_SESSION_DAYS",
        "session_days",
        parsers.whole(1, 400),
        "30",
        "Idle days after which a customer's token and resume handle end.",
    ),
    Variable(
        "PARLEY_RETENTION_DAYS",
        "retention_days",
        parsers.whole(1, 3650),
        "90",
        "Idle days after which a conversation is forgotten, unless its site says otherwise.",
    ),
    Variable(
        "PARLEY_LOG_LEVEL",
        "log_level",
        parsers.one_of("debug", "info", "warning", "error"),
        "info",
        "Least important line that is logged. No level logs what people wrote.",
    ),
    Variable(
        "PARLEY_LOG_FORMAT",
        "log_format",
        parsers.one_of("auto", "json", "text"),
        "auto",
        "json, text, or auto: text on a terminal.",
    ),
)
