"""The client rules, small: what a client shows after the frames that it got.

The same fold shows what a log holds. `tests/frames` binds it to the widget's own fold. Texts are
kept as UTF-16, because every position and length counts its units.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

GAP_TRIES = 3
Frame = Mapping[str, Any]


def utf16(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


@dataclass(frozen=True)
class Shown:
    """One message as somebody sees it."""

    m: int
    author: str
    text: str
    r: int = 0
    done: bool = True
    reason: str = ""
    answers: tuple[int, ...] = ()
    replaces: int | None = None
    id: str = ""
    attempt: int = 0
    units: int = (
        0  # of the text; kept, so that a long answer costs no more a delta than a short one
    )

    @classmethod
    def of(cls, message: Frame) -> "Shown":
        text = str(message["text"])
        return cls(
            m=message["m"], author=message["author"], text=text, r=message.get("r", 0),
            done=message.get("done", True), reason=message.get("reason", ""),
            answers=tuple(message.get("answers", ())), replaces=message.get("replaces"),
            id=message.get("id", ""), units=len(utf16(text)) // 2,
        )  # fmt: skip

    def extended(self, frame: Frame) -> "Shown | str":
        """After a delta; or what does not fit."""
        if frame["r"] < self.r or self.done:
            return self
        if frame["r"] > self.r:
            return f"a delta of revision {frame['r']}, which nobody opened; it has {self.r}"
        if frame["at"] > self.units:
            return f"a delta at {frame['at']}, behind its end at {self.units}"
        piece = utf16(frame["text"])[2 * (self.units - frame["at"]) :]
        return replace(self, text=self.text + _text(piece), units=self.units + len(piece) // 2)

    def rewound(self, frame: Frame) -> "Shown | str":
        if frame["r"] <= self.r:
            return self
        if frame["at"] > self.units:
            return f"cut at {frame['at']}, behind its end at {self.units}"
        text = _text(utf16(self.text)[: 2 * frame["at"]])
        return replace(self, text=text, r=frame["r"], units=frame["at"])

    def finished(self, frame: Frame) -> "Shown | str":
        kept = replace(self, text="", units=0) if frame["reason"] == "withdrawn" else self
        crc = zlib.crc32(kept.text.encode("utf-8", "surrogatepass"))
        if (kept.units, crc) != (frame["length"], frame["crc32"]):
            return (
                f"length and crc32 are {kept.units} and {crc}, "
                f"the frame says {frame['length']} and {frame['crc32']}"
            )
        return replace(kept, done=True, reason=frame["reason"])


@dataclass
class View:
    """A pure fold over frames. ``apply`` says what is needed from the server: "" for nothing,
    "hello", or "anew" where the text cannot be trusted; ``why`` tells why.
    """

    pos: tuple[str, int] | None = None
    status: str = "assisted"
    messages: dict[int, Shown] = field(default_factory=dict)
    awaiting: bool = True
    tries: int = 0
    why: str = ""

    def apply(self, frame: Frame) -> str:
        try:
            if "o" in frame:
                return self._logged(frame)
            match frame["type"]:
                case "welcome":
                    return self._welcomed(frame)
                case "snapshot":
                    self.pos = (frame["pos"][0], frame["pos"][1])
                    self.status = frame["status"]
                    self.messages = {}
                    self._merge(frame["messages"])
                    self.awaiting, self.tries = False, 0
                case "history":
                    self._merge(frame["messages"])
        except (KeyError, TypeError, ValueError) as error:
            return self._broken(f"a frame that is none: {error!r}")
        return ""

    def _welcomed(self, frame: Frame) -> str:
        self.status = frame["status"]
        self.awaiting = frame["mode"] != "replay"
        if not self.awaiting and (self.pos is None or self.pos[0] != frame["pos"][0]):
            return self._broken(f"a replay of epoch {frame['pos'][0]} behind {self.pos}")
        return ""

    def _merge(self, messages: list[Frame]) -> None:
        known = {message["m"]: Shown.of(message) for message in messages}
        self.messages = dict(sorted((known | self.messages).items()))

    def _logged(self, frame: Frame) -> str:
        if self.awaiting or self.pos is None or frame["o"] <= self.pos[1]:
            return ""
        if frame["o"] > self.pos[1] + 1:
            if self.tries == GAP_TRIES:
                return self._broken("three tries did not fill the hole")
            self.tries += 1
            self.awaiting = True
            self.why = f"{frame['o']} came after {self.pos[1]}"
            return "hello"
        wrong = self.change(frame)
        if wrong:
            return self._broken(wrong)
        self.pos, self.tries = (self.pos[0], frame["o"]), 0
        return ""

    def _broken(self, why: str) -> str:
        self.awaiting, self.tries, self.why = True, 0, why
        return "anew"

    def change(self, frame: Frame) -> str:
        """Apply the next logged frame; what is wrong with it, or ""."""
        match frame["type"]:
            case "message.created":
                created = Shown.of(frame["message"])
                self.messages[created.m] = created
            case "answer.started":
                return self._started(frame)
            case "answer.delta":
                return self._edit(frame, Shown.extended)
            case "answer.rewound":
                return self._edit(frame, Shown.rewound)
            case "answer.done":
                return self._edit(frame, Shown.finished)
            case "conversation.updated":
                self.status = frame["status"]
        return ""

    def _edit(self, frame: Frame, change: Any) -> str:
        before = self.messages.get(frame["m"])
        if before is None:
            return f"there is no message {frame['m']}"
        after = change(before, frame)
        if isinstance(after, str):
            return f"message {frame['m']}: {after}"
        self.messages[frame["m"]] = after
        return ""

    def _started(self, frame: Frame) -> str:
        known = self.messages.get(frame["m"])
        if known is None:
            self.messages[frame["m"]] = Shown(
                frame["m"], "assistant", "", frame["r"], False, "", tuple(frame["answers"]),
                frame.get("replaces"), attempt=frame["attempt"],
            )  # fmt: skip
        elif frame["r"] > known.r:
            return f"message {known.m}: an adoption at revision {frame['r']}, it has {known.r}"
        else:
            self.messages[known.m] = replace(known, attempt=frame["attempt"])
        return ""


def _text(units: bytes) -> str:
    return units.decode("utf-16-le", "surrogatepass")
