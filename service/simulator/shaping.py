"""What is said of an answer: its length under a fault, and how it goes on with one begun."""

from __future__ import annotations

from dataclasses import replace

from service.simulator import pieces
from service.simulator.answers import Reply
from service.simulator.answers.continuation import Continuation, going_on
from service.simulator.faults import Fault
from service.simulator.modes import MODES

_MAX_LONG = 16_384  # model tokens; the model's own cap


def shaped(reply: Reply, faults: list[Fault], continuation: Continuation) -> Reply:
    """The reply under `long`, and of one to be continued what comes next, as a fault may ask."""
    for fault in faults:
        if fault.kind == "long":
            reply = replace(reply, text=_lengthened(reply.text, fault.whole("tokens")))
        elif fault.kind in MODES:
            words = int(fault.numbers.get("words", 0)) or continuation.words
            continuation = Continuation(fault.kind, words)
    if not reply.continued:
        return reply
    text = going_on(reply.text, reply.continued, reply.language, continuation)
    return replace(reply, text=text)


def _lengthened(text: str, tokens: int) -> str:
    """`text` repeated, as numbered paragraphs, to exactly `tokens` model tokens."""
    tokens = min(tokens, _MAX_LONG)
    paragraphs = [text]
    total = pieces.count(text)
    while total < tokens:
        paragraphs.append(f"({len(paragraphs) + 1}) {text or '…'}")
        total += pieces.count(paragraphs[-1])
    return "".join(pieces.split("\n\n".join(paragraphs))[:tokens])
