"""The best passage for a question, and the sentences of it that answer.

Topics count first, more in a title than in the text, more the fewer passages touch them. Letter
groups decide where no topic is known (a product's name) and between passages of the same topic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from service.simulator.answers.facts import Facts, Passage, Sentence
from service.simulator.answers.places import Closeness, closeness
from service.simulator.answers.question import CARRIED_WEIGHT, PRODUCTS, Question

TITLE_TOPIC, TEXT_TOPIC = 2.4, 1.0
TITLE_WORDS, TEXT_WORDS = 3.0, 3.0
COVERAGE = 2.0  # for a passage that speaks of everything that is asked
PRODUCT = 1.5  # a product asked for is more telling than an aspect of it
GENERIC = {"time": 0.6, "price": 0.6, "order": 0.5, "international": 0.6, "europe": 0.5}
SAME_LANGUAGE = 0.8
# What a passage gains by speaking of the place that was asked for, and what a sentence does.
PLACE = dict(zip(Closeness, (0.0, 0.0, 1.4, 1.6, 2.0), strict=True))
NEARNESS = dict(zip(Closeness, (0.0, 0.0, 3.0, 4.0, 6.0), strict=True))
_FAR = Closeness.ELSEWHERE
NAMED_COLOUR = 0.8
COLOUR = 5.0
SENTENCE_WORDS = 1.0
OTHER_PRODUCT = 0.3  # left of the score of a sentence on another product than the one asked for
CARRIED_TOPIC = 0.3  # of a topic from before, where the message names one of its own
LEAST_WORDS = 0.42  # share of a question's words that must be found where no topic is
MORE_PASSAGES = 0.45  # a second passage for another topic needs this share of the best's score
MAX_SENTENCES, MAX_ITEMS = 3, 6
KEPT_SHARE = 0.5  # of the best sentence's score


@dataclass(frozen=True, slots=True)
class Finding:
    """A passage and those of its sentences that answer, in their order."""

    passage: Passage
    sentences: tuple[Sentence, ...]
    score: float
    names_place: bool
    names_colour: bool


def _share(asked: frozenset[str], found: frozenset[str], weights: Mapping[str, float]) -> float:
    """How much of what is asked is found, by weight: 0 to 1. Unknown words weigh most."""
    if not asked:
        return 0.0
    unknown = max(weights.values(), default=1.0)
    total = sum(weights.get(gram, unknown) for gram in asked)
    return sum(weights.get(gram, unknown) for gram in asked & found) / total


def _topic_weight(topic: str, facts: Facts) -> float:
    weight = facts.weights.get(topic, 0.0) * GENERIC.get(topic, 1.0)
    return weight * (PRODUCT if topic in PRODUCTS else 1.0)


def _covered(question: Question, passage: Passage) -> float:
    """The share of what the message itself asks that the passage speaks of."""
    asked = question.own_topics - GENERIC.keys()
    return len(asked & (passage.title_topics | passage.topics.keys())) / max(1, len(asked))


def _score(question: Question, passage: Passage, facts: Facts) -> float:
    in_title = sum(_topic_weight(topic, facts) for topic in question.topics & passage.title_topics)
    in_text = sum(
        _topic_weight(topic, facts) * min(1.5, 0.75 + 0.25 * passage.topics[topic])
        for topic in question.topics & passage.topics.keys()
    )
    weights = facts.gram_weights
    words = TITLE_WORDS * _share(question.grams, passage.title_grams, weights)
    words += TEXT_WORDS * _share(question.grams, passage.grams, weights)
    words += CARRIED_WEIGHT * TITLE_WORDS * _share(question.carried, passage.title_grams, weights)
    words += CARRIED_WEIGHT * TEXT_WORDS * _share(question.carried, passage.grams, weights)
    score = TITLE_TOPIC * in_title + TEXT_TOPIC * in_text + words
    score += COVERAGE * _covered(question, passage)
    if not (in_title or in_text):
        asked = max(
            _share(question.grams, passage.grams, weights),
            _share(question.carried, passage.grams, weights) if question.follows else 0.0,
        )
        if asked < LEAST_WORDS:
            return 0.0
    if question.places:
        score += PLACE[max((_nearness(question, one) for one in passage.sentences), default=_FAR)]
    if any(set(question.colours) & sentence.colours for sentence in passage.sentences):
        score += NAMED_COLOUR
    return score + (SAME_LANGUAGE if passage.language == question.language else 0.0)


def find(question: Question, facts: Facts) -> list[Finding]:
    """One passage, two where the question is about two things, or none."""
    scored = [(_score(question, passage, facts), passage) for passage in facts.passages]
    ranked = sorted((pair for pair in scored if pair[0] > 0), key=lambda pair: -pair[0])
    if not ranked:
        return []
    best, first = ranked[0]
    chosen = [(best, first)]
    missing = question.own_topics - first.title_topics - GENERIC.keys()
    if not first.title_topics & PRODUCTS:  # "warranty of the tent" is one thing, not two
        missing -= PRODUCTS
    for score, passage in ranked[1:]:
        if missing & passage.title_topics and score >= MORE_PASSAGES * best:
            chosen.append((score, passage))
            break
    return [
        _finding(_part(question, passage, [other for _, other in chosen]), passage, score, facts)
        for score, passage in chosen
    ]


def _part(question: Question, passage: Passage, all_chosen: list[Passage]) -> Question:
    """What of a double question this passage is to answer."""
    others = [other.title_topics for other in all_chosen if other is not passage]
    elsewhere = frozenset[str]().union(*others) - passage.title_topics
    return replace(question, topics=question.topics - elsewhere)


def _finding(question: Question, passage: Passage, score: float, facts: Facts) -> Finding:
    colours = set(question.colours)
    named = [s for s in passage.sentences if set(question.places) & s.places]
    coloured = [s for s in passage.sentences if colours & s.colours]
    sentences = _choose(question, passage, facts)
    return Finding(passage, sentences, score, bool(named), bool(coloured))


def _nearness(question: Question, sentence: Sentence) -> Closeness:
    return max(closeness(place, sentence) for place in question.places)


def _sentence_score(
    question: Question, sentence: Sentence, topics: Mapping[str, float], *, named: bool
) -> float:
    """How well the sentence answers; `named`: some sentence names the very place asked for."""
    score = sum(topics.get(topic, 0.0) for topic in sentence.topics)
    if set(question.colours) & sentence.colours:
        score += COLOUR
    products = sentence.topics & PRODUCTS
    if products and question.topics & PRODUCTS and not products & question.topics:
        score *= OTHER_PRODUCT
    if question.places:
        near = _nearness(question, sentence)
        if near is Closeness.ELSEWHERE or (near is Closeness.WORLD and named):
            return 0.0
        score += NEARNESS[near]
    return score


def _telling(question: Question, passage: Passage, facts: Facts) -> dict[str, float]:
    """The topics that tell the passage's sentences apart, by weight.

    What the title is about is what all its sentences are about, so it counts only where nothing
    else was asked; what is carried over from before counts less than what is asked now.
    """
    carried = CARRIED_TOPIC if question.own_topics else 1.0
    weights = {
        topic: _topic_weight(topic, facts) * (1.0 if topic in question.own_topics else carried)
        for topic in question.topics
    }
    specific = {
        topic: weight
        for topic, weight in weights.items()
        if topic not in passage.title_topics and topic in passage.topics
    }
    return specific or weights


def _choose(question: Question, passage: Passage, facts: Facts) -> tuple[Sentence, ...]:
    named = bool(set(question.places) & passage.places)
    topics = _telling(question, passage, facts)
    scores = []
    for sentence in passage.sentences:
        score = _sentence_score(question, sentence, topics, named=named)
        words = SENTENCE_WORDS * _share(question.grams, sentence.grams, facts.gram_weights)
        scores.append(score + words if score or not topics else 0.0)
    best = max(scores, default=0.0)
    if best <= 0.0:
        return passage.sentences[:MAX_SENTENCES]
    kept = {index for index, score in enumerate(scores) if score >= KEPT_SHARE * best}
    items = all(passage.sentences[index].is_item for index in kept)
    most = MAX_ITEMS if items else MAX_SENTENCES
    strongest = sorted(kept, key=lambda index: (-scores[index], index))[:most]
    return tuple(passage.sentences[index] for index in sorted(strongest))
