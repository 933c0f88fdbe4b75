"""Which of the 26 languages a text is written in.

The script decides first. Where several languages share it, their frequent words, the letters that
speak for one of them, its words for shop topics and its names of places vote; what the conversation
was in before, and what the prompt expects, break ties and decide alone where nothing votes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import cache, lru_cache

from service.simulator.answers.folding import fold
from service.simulator.answers.lexicon import CODES, Language, language

_SCRIPTS: tuple[tuple[str, re.Pattern[str], tuple[str, ...]], ...] = (
    ("kana", re.compile("[\u3040-\u30ff]"), ("ja",)),
    ("hangul", re.compile("[\uac00-\ud7a3]"), ("ko",)),
    ("han", re.compile("[\u3400-\u4dbf\u4e00-\u9fff]"), ("zh", "ja")),
    ("greek", re.compile("[\u0370-\u03ff\u1f00-\u1fff]"), ("el",)),
    ("arabic", re.compile("[\u0600-\u06ff]"), ("ar", "fa")),
    ("cyrillic", re.compile("[\u0400-\u04ff]"), ("ru", "uk", "bg")),
    (
        "latin",
        re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]"),
        tuple(
            code
            for code in CODES
            if code not in ["zh", "ja", "ko", "el", "ar", "fa", "ru", "uk", "bg"]
        ),
    ),
)
# Japanese writes these in kana, if at all.
_CHINESE_ONLY = re.compile("[的了吗呢们这那么您你我是]")
_CJK_WEIGHT = 3  # one such character says as much as three letters
_WORD = re.compile(r"\w+")

WORD_VOTE, FOLDED_VOTE = 1.0, 0.4
LETTER_VOTE = 1.2
TOPIC_VOTE = 0.6
PLACE_VOTE = 0.6
GREETING_VOTE = 1.5
EARLIER_PRIOR = 0.5  # the customer's last message
PROMPT_PRIOR = 0.35  # what the prompt expects
FALLBACK = "en"


@cache
def _word_votes(codes: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """For each frequent word how much it speaks for which language: less, the more share it."""
    owners: dict[str, dict[str, float]] = {}
    for code in codes:
        for word in language(code).stopwords:
            owners.setdefault(word, {})[code] = WORD_VOTE
            owners.setdefault(fold(word), {}).setdefault(code, FOLDED_VOTE)
    return {
        word: {code: vote / len(votes) for code, vote in votes.items()}
        for word, votes in owners.items()
    }


@cache
def _letter_votes(codes: tuple[str, ...]) -> dict[str, dict[str, float]]:
    owners: dict[str, list[str]] = {}
    for code in codes:
        for letter in language(code).letters:
            owners.setdefault(letter, []).append(code)
    return {
        letter: {code: LETTER_VOTE / len(sharing) for code in sharing}
        for letter, sharing in owners.items()
    }


def script_of(text: str) -> tuple[str, ...]:
    """The languages of the script that most of `text` is in; none if it has no letters."""
    weights = {}
    for name, letters, codes in _SCRIPTS:
        found = len(letters.findall(text))
        weights[name] = (found * (_CJK_WEIGHT if name in ("kana", "hangul", "han") else 1), codes)
    if weights["kana"][0] and weights["han"][0]:
        return ("ja",)
    most, codes = max(weights.values(), key=lambda weight: weight[0])
    return codes if most else ()


def _votes(text: str, codes: tuple[str, ...]) -> dict[str, float]:
    votes: defaultdict[str, float] = defaultdict(float)
    by_word, by_letter = _word_votes(codes), _letter_votes(codes)
    lowered = text.lower()
    for word in _WORD.findall(lowered):
        for code, vote in by_word.get(word, {}).items():
            votes[code] += vote
    for letter in set(lowered):
        for code, vote in by_letter.get(letter, {}).items():
            votes[code] += vote
    for code in codes:
        votes[code] += _subject_votes(text, language(code))
    return votes


def _subject_votes(text: str, candidate: Language) -> float:
    normal = candidate.normal(text)
    topics = sum(1 for found in candidate.concepts.values() if found.search(normal))
    places = sum(1 for _, found in candidate.places.values() if found.search(normal))
    greets = bool(candidate.greetings.search(normal) or candidate.thanks.search(normal))
    return topics * TOPIC_VOTE + places * PLACE_VOTE + greets * GREETING_VOTE


@lru_cache(maxsize=4096)
def detect(text: str, priors: Sequence[str | None] = ()) -> str:
    """The code of the language of `text`.

    `priors` are the languages of what came before, nearest first; they decide what is ambiguous.
    """
    known = [code for code in priors if code in CODES]
    codes = script_of(text)
    if not codes:
        return known[0] if known else FALLBACK
    if len(codes) == 1:
        return codes[0]
    if codes == ("zh", "ja"):  # Chinese characters alone
        return "ja" if known[:1] == ["ja"] and not _CHINESE_ONLY.search(text) else "zh"
    votes = _votes(text, codes)
    for code, prior in zip(known, (EARLIER_PRIOR, PROMPT_PRIOR), strict=False):
        if code in codes:
            votes[code] += prior
    if "en" in codes:
        votes["en"] += 0.05  # names and product words alone say nothing
    order = {code: -index for index, code in enumerate(CODES)}
    return max(codes, key=lambda code: (round(votes[code], 6), order[code]))
