"""Every sentence that the server itself says to a customer, in all 26 languages.

The sentences stand in `texts/<language>.json`, one file a translator can own. They are read once,
while this module is imported, as the code itself is: at run time nothing here touches a disk, so
the module is a value like the rest of core, and a missing file stops the start, not a customer.

What differs for an operator may be one thing to a customer: a bad id, a bad frame and an unknown
command all mean that page and server did not understand each other. `SAME` names such codes.

Numbers stand with a short unit, or after a colon ("{seconds} s", "Largest number: {limit}"): no
sentence needs plural forms, which Arabic, Polish and the others have up to six of.
"""

import re
from collections.abc import Mapping
from importlib import resources

import msgspec

from service.core.languages import LANGUAGES, direction

# code -> the code whose sentence it shares
SAME: Mapping[str, str] = {
    "unknown_command": "bad_command",
    "bad_id": "bad_command",
    "bad_frame": "bad_command",
    "bad_request": "bad_command",
    "no_hello": "draining",
    "too_slow": "draining",
    "shed": "draining",
    "too_many_requests": "rate_limited",
    "service_unavailable": "unavailable",
    "site_unknown": "origin_refused",
}
NO_CONTACT = "_no_contact"  # ends the code of a notice for a site that declares no contact

# A telephone number among right-to-left words would be shown back to front.
_TURNS_ROUND = re.compile(r"[+(\d][\d\s()+/.-]*\D[\d\s()+/.-]*")
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"


def _load() -> dict[str, dict[str, str]]:
    folder = resources.files("service.core") / "texts"
    read = msgspec.json.Decoder(dict[str, str]).decode
    return {code: read((folder / f"{code}.json").read_bytes()) for code in LANGUAGES}


TEXTS: Mapping[str, Mapping[str, str]] = _load()
CODES: frozenset[str] = frozenset(TEXTS["en"]) | frozenset(SAME)


def text(code: str, language: str, **values: object) -> str:
    """The sentence for ``code`` in ``language``, one of `LANGUAGES`, placeholders filled.

    Values are ``contact`` (as the site writes it), ``seconds``, ``minutes`` and ``limit`` (whole
    numbers); those that a sentence does not use are ignored. KeyError for an unknown code or
    language, or a value that is missing: a mistake in our code, never in a customer's message.
    """
    sentence = TEXTS[language][SAME.get(code, code)]
    if "{" not in sentence:
        return sentence
    shown = {name: str(value) for name, value in values.items()}
    if direction(language) == "rtl":
        shown = {name: _isolated(value) for name, value in shown.items()}
    return sentence.format_map(shown)


def notice(code: str, language: str, contact: str = "") -> str:
    """The sentence of a notice that offers the site's contact where it has one.

    ``code`` is "answer_failed" or "handoff_unavailable".
    """
    if contact.strip():
        return text(code, language, contact=contact.strip())
    return text(code + NO_CONTACT, language)


def _isolated(value: str) -> str:
    if _TURNS_ROUND.fullmatch(value):
        return f"{_FIRST_STRONG_ISOLATE}{value}{_POP_ISOLATE}"
    return value
