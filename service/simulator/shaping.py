"""Faults that change what is said, not how it is sent."""

from __future__ import annotations

from dataclasses import replace

from service.simulator import pieces
from service.simulator.answers import Reply
from service.simulator.faults import Fault

_MAX_LONG = 16_384  # model tokens; the model's own cap


def shaped(reply: Reply, faults: list[Fault]) -> Reply:
    """The reply under `long`, `repeat` and `overlap`."""
    for fault in faults:
        if fault.kind == "long":
            reply = replace(reply, text=_lengthened(reply.text, fault.whole("tokens")))
        elif fault.kind == "repeat":
            reply = replace(reply, text=reply.continued + reply.text)
        elif fault.kind == "overlap":
            kept = max(0, len(reply.continued) - fault.whole("characters"))
            reply = replace(reply, text=reply.continued[kept:] + reply.text)
    return reply


def _lengthened(text: str, tokens: int) -> str:
    """`text` repeated, as numbered paragraphs, to exactly `tokens` model tokens."""
    tokens = min(tokens, _MAX_LONG)
    paragraphs = [text]
    total = pieces.count(text)
    while total < tokens:
        paragraphs.append(f"({len(paragraphs) + 1}) {text or '…'}")
        total += pieces.count(paragraphs[-1])
    return "".join(pieces.split("\n\n".join(paragraphs))[:tokens])
