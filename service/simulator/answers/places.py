"""Which of the facts' sentences speak of a place: by name, by its region, of the world, or
elsewhere.
"""

from __future__ import annotations

import re
from enum import IntEnum

from service.simulator.answers.facts import Sentence

EUROPEAN_UNION = frozenset(
    [
        "SE",
        "DK",
        "FI",
        "DE",
        "AT",
        "FR",
        "BE",
        "NL",
        "LU",
        "IT",
        "ES",
        "PT",
        "IE",
        "PL",
        "CZ",
        "SK",
        "HU",
        "RO",
        "BG",
        "GR",
        "EE",
        "LV",
        "LT",
        "SI",
        "HR",
    ]
)
EUROPE = EUROPEAN_UNION | {"NO", "IS", "CH", "GB", "UA", "TR"}
_UNION_ONLY = re.compile(
    r"\b(?:EU|UE|ЕС|ЄС)\b|European Union|Europäischen? Union|Union européenne|Unión Europea"
    r"|Unione europea|União Europeia|欧盟|الاتحاد الأوروبي|유럽연합",
    re.IGNORECASE,
)


class Closeness(IntEnum):
    """How near a sentence comes to a place."""

    ELSEWHERE = 0  # it names others only
    SILENT = 1  # it names none
    WORLD = 2
    REGION = 3
    NAMED = 4


def closeness(place: str, sentence: Sentence) -> Closeness:
    """How near `sentence` comes to the place of that ISO code."""
    if place in sentence.places:
        return Closeness.NAMED
    if "europe" in sentence.topics and place in EUROPE:
        union_only = _UNION_ONLY.search(sentence.text) and not re.search(
            r"Europ[ea](?!\w)|欧洲|أوروبا(?!ي)", sentence.text
        )
        if not union_only or place in EUROPEAN_UNION:
            return Closeness.REGION
    if "europe" in sentence.topics:
        return Closeness.ELSEWHERE
    if "international" in sentence.topics:
        return Closeness.WORLD
    return Closeness.ELSEWHERE if sentence.places else Closeness.SILENT
