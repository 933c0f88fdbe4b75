"""What the customer asks, with what they asked before.

A conversation is folded message by message. A message that begins like a follow-up ("and …?"),
points back ("that one") or names no topic of its own keeps the topic before it; what it does name
(a place, a colour, another aspect) replaces that part. So "and to Norway?" still is about
shipping.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from service.simulator.answers.detection import detect
from service.simulator.answers.folding import grams
from service.simulator.answers.lexicon import Language, language

PRODUCTS = frozenset(
    {
        *("tent", "jacket", "backpack", "lamp", "sleepingbag", "boots"),
        *("stove", "bottle", "blanket", "socks", "giftcard"),
    }
)
# Aspects that a product has: asked without one, they are about the product before.
_ASPECTS = frozenset(
    {
        *("size", "colour", "material", "care", "weight"),
        *("waterproof", "stock", "price", "repair", "warranty"),
    }
)
# Topics that seldom stand alone: "how long?" is about whatever was spoken of.
_WEAK = frozenset(["time", "price", "europe", "international", "order", "store", "contact"])
_SHORT_GRAMS = 40  # a longer text without a topic is its own question, not a follow-up
CARRIED_WEIGHT = 0.4  # of the earlier question's words against the new one's


class Kind:
    """What a message is."""

    GREETING = "greeting"
    THANKS = "thanks"
    QUESTION = "question"


@dataclass(frozen=True, slots=True)
class Question:
    """One resolved question. `carried` are the letter groups of what it follows."""

    text: str
    language: str
    kind: str
    topics: frozenset[str]
    places: tuple[str, ...]
    colours: tuple[str, ...]
    grams: frozenset[str]
    carried: frozenset[str] = frozenset()
    follows: bool = False
    own_topics: frozenset[str] = frozenset()  # those that the message itself names


@lru_cache(maxsize=4096)
def read(text: str, priors: tuple[str | None, ...]) -> Question:
    """The message by itself."""
    code = detect(text, priors)
    own, english = language(code), language("en")
    topics = own.topics(text)
    places, colours = own.named(text)
    if code != "en":  # people mix English words in
        topics |= english.topics(text) if not own.unspaced else frozenset()
        more_places, more_colours = english.named(text)
        places += [place for place in more_places if place not in places]
        colours += [colour for colour in more_colours if colour not in colours]
    if colours:
        topics |= {"colour"}
    found = grams(text, own.ignored)
    kind = _kind(text, own, bool(topics or places or colours))
    return Question(
        text, code, kind, topics, tuple(places), tuple(colours), found, own_topics=topics
    )


def _kind(text: str, own: Language, says_something: bool) -> str:
    normal = own.normal(text)
    if says_something or len(normal) > _SHORT_GRAMS or "?" in text or "？" in text:
        return Kind.QUESTION
    if own.thanks.search(normal):
        return Kind.THANKS
    if own.greetings.search(normal):
        return Kind.GREETING
    return Kind.QUESTION


def resolve(question: Question, before: Question | None) -> Question:
    """`question` completed with the one before it, where it is a follow-up."""
    if before is None or question.kind != Kind.QUESTION:
        return question
    own = language(question.language)
    normal = own.normal(question.text)
    strong = question.topics - _WEAK
    points = bool(own.followups.search(normal) or own.pointers.search(normal))
    aspects = question.topics & _ASPECTS
    bare = not strong and len(question.grams) <= _SHORT_GRAMS
    about_product = bool(before.topics & PRODUCTS) and strong <= _ASPECTS and not strong & PRODUCTS
    if strong and strong <= PRODUCTS and points:  # "and the backpack?": the same of another one
        same = before.topics - PRODUCTS
        return replace(question, topics=question.topics | same, follows=True)
    if not (points or bare or about_product) or strong & PRODUCTS:
        return question
    if not question.topics and not question.places and not question.colours and not points:
        # Nothing known in it: it may be a new subject or a name; keep its own words, too.
        return replace(question, carried=before.grams, follows=bool(before.topics))
    products = before.topics & PRODUCTS
    carried_topics = products if strong or (products and aspects) else before.topics
    return replace(
        question,
        topics=question.topics | carried_topics,
        places=question.places or (() if strong else before.places),
        colours=question.colours or (() if strong or aspects else before.colours),
        carried=before.grams | before.carried,
        follows=True,
    )


def fold_conversation(texts: Sequence[str], reply_language: str | None) -> list[Question]:
    """Each of the customer's messages in order, resolved with those before it."""
    questions: list[Question] = []
    before: Question | None = None
    spoken: str | None = None
    for text in texts:
        resolved = resolve(read(text, (spoken, reply_language)), before)
        questions.append(resolved)
        spoken = resolved.language
        if resolved.kind == Kind.QUESTION:
            before = resolved
    return questions
