"""The shop's facts as the prompt carries them, taken apart once and remembered.

    # Shop: NAME
    # Contact: …
    # Reply language: xx

    # Facts about the shop
    ## title of a passage
    its text, one or more lines
    ## next title
    …

The first three lines may be absent; the facts end with the message or the next `# ` line.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from service.simulator.answers.detection import detect
from service.simulator.answers.folding import grams
from service.simulator.answers.lexicon import Language, language

HEADING = "# Facts about the shop"
_FIELD = re.compile(r"^# (Shop|Contact|Reply language):[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_ITEM = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
# A sentence ends at its mark before a space and something that can begin one; "z. B.", "e.g. this",
# "ca. 5", "Fr. 9–17" and "24. Dezember" do not end there.
_MONTH = "Jan|Feb|Mär|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez"
_SENTENCE_END = re.compile(
    r"(?<=[。！？])(?=.)"
    r"|(?<=[^\d\W]{2}[.!?؟])\s+(?=[^a-zà-öø-ÿа-яё\s\d])"
    r"|(?<=[a-zà-ÿ]{2} [A-Z][.!?])\s+(?=[A-ZÀ-Þ])"
    r"|(?<=[^\d\W]{4}[.!?؟])(?<!approx\.)\s+(?=\d)"
    rf"|(?<=[\d%€$£)\]»”\"][.!?؟])\s+(?=[^a-zà-öø-ÿа-яё\s\d])(?!{_MONTH})"
)


@dataclass(frozen=True)
class Sentence:
    """One sentence or list item of a passage, with what it is about."""

    text: str
    is_item: bool
    topics: frozenset[str]
    places: frozenset[str]
    colours: frozenset[str]
    grams: frozenset[str]


@dataclass(frozen=True)
class Passage:
    """One titled piece of the facts, in a language of its own."""

    title: str
    text: str
    language: str
    sentences: tuple[Sentence, ...]
    title_topics: frozenset[str]
    title_grams: frozenset[str]

    @cached_property
    def topics(self) -> Counter[str]:
        """How many of its sentences touch each topic."""
        return Counter(topic for sentence in self.sentences for topic in sentence.topics)

    @cached_property
    def grams(self) -> frozenset[str]:
        """Those of its text and title."""
        return self.title_grams.union(*(sentence.grams for sentence in self.sentences))

    @cached_property
    def places(self) -> frozenset[str]:
        """The places that it names."""
        return frozenset[str]().union(*(sentence.places for sentence in self.sentences))


@dataclass(frozen=True)
class Facts:
    """All that a system message says of the shop."""

    shop: str
    contact: str
    reply_language: str | None
    passages: tuple[Passage, ...]

    @cached_property
    def weights(self) -> Mapping[str, float]:
        """How telling each topic is here: the fewer passages touch it, the more."""
        touched: Counter[str] = Counter()
        for passage in self.passages:
            touched.update(passage.title_topics | passage.topics.keys())
        total = len(self.passages)
        return {topic: math.log(1 + total / found) for topic, found in touched.items()}

    @cached_property
    def gram_weights(self) -> Mapping[str, float]:
        """The same for letter groups."""
        touched: Counter[str] = Counter()
        for passage in self.passages:
            touched.update(passage.grams)
        total = len(self.passages)
        return {gram: math.log(1 + total / found) for gram, found in touched.items()}


@lru_cache(maxsize=64)
def parse(system: str) -> Facts:
    """The facts of a system message; empty ones where it has none."""
    head, _, rest = system.partition(HEADING)
    fields: dict[str, str] = dict(_FIELD.findall(head))
    code = fields.get("Reply language", "").lower().partition("-")[0] or None
    body = re.split(r"^# ", rest.partition("\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    pieces = re.split(r"^## ", body, flags=re.MULTILINE)[1:]
    passages = tuple(_passage(piece) for piece in pieces if piece.strip())
    return Facts(fields.get("Shop", ""), fields.get("Contact", ""), code, passages)


def _passage(piece: str) -> Passage:
    title, _, text = piece.partition("\n")
    title, text = title.strip(), text.strip()
    code = detect(f"{title}\n{text}")
    own = language(code)
    sentences = tuple(
        _sentence(sentence, own, is_item=is_item) for sentence, is_item in split_sentences(text)
    )
    return Passage(title, text, code, sentences, own.topics(title), grams(title, own.ignored))


def _sentence(text: str, own: Language, *, is_item: bool) -> Sentence:
    places, colours = own.named(text)
    topics = own.topics(text) | (frozenset({"colour"}) if colours else frozenset())
    return Sentence(
        text,
        is_item,
        topics,
        frozenset(places),
        frozenset(colours),
        grams(text, own.ignored),
    )


def split_sentences(text: str) -> list[tuple[str, bool]]:
    """The sentences of `text` in order, and for each whether it is a list's item."""
    found: list[tuple[str, bool]] = []
    for line in text.splitlines():
        item = _ITEM.match(line)
        if item:
            found.append((line[item.end() :].strip(), True))
        else:
            parts = (part.strip() for part in _SENTENCE_END.split(line))
            found += [(part, False) for part in parts if part]
    return found
