"""From findings to words, in the customer's language.

What the shop says is quoted, never rephrased. In the customer's language it is quoted plainly; in
another, the frame is the customer's and the quotation is marked as the shop's, with its language.
Markdown is light: bold for what the answer is about, a list where several facts match.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from service.simulator.answers.facts import Facts, Sentence
from service.simulator.answers.lexicon import Language, language
from service.simulator.answers.question import Question
from service.simulator.answers.search import Finding

_ABOUT_PLACES = frozenset(
    [
        "shipping",
        "time",
        "international",
        "europe",
        "customs",
        "returns",
        "refund",
        "price",
        "store",
    ]
)
_GUILLEMETS = ("«", "»")
_QUOTES = {
    "ja": ("「", "」"),
    "de": ("„", "“"),
    **dict.fromkeys(("fr", "ar", "fa", "ru", "uk", "el", "no"), _GUILLEMETS),
}
_OTHER_QUOTES = ("“", "”")
GREETED_TITLES = 4


def _phrase(own: Language, phrase: str, **fields: str) -> str:
    return str(own.phrases[phrase]).format(**fields)


def _join(sentences: Sequence[Sentence], code: str) -> str:
    """The sentences as a running text, or a list where they are a list's items."""
    if len(sentences) > 1 and all(sentence.is_item for sentence in sentences):
        return "\n".join(f"- {sentence.text}" for sentence in sentences)
    separator = "" if code in ("zh", "ja") else " "
    return separator.join(sentence.text for sentence in sentences)


def _label(question: Question, finding: Finding, own: Language) -> str:
    """What the answer is about, in bold: the place or colour asked for, else the title."""
    if question.places and finding.names_place:
        return own.places[question.places[0]][0]
    if question.colours and finding.names_colour:
        shown = own.colours[question.colours[0]][0]
        return shown[:1].upper() + shown[1:]
    return finding.passage.title if finding.passage.language == own.code else ""


def _unnamed(question: Question, findings: Sequence[Finding], own: Language) -> str:
    """The name of a place or colour that was asked for and that no passage names."""
    named = any(finding.names_place for finding in findings)
    if question.places and not named and _ABOUT_PLACES & question.topics:
        return own.places[question.places[0]][0]
    if question.colours and not any(finding.names_colour for finding in findings):
        return own.colours[question.colours[0]][0]
    return ""


def _stated(question: Question, finding: Finding, own: Language) -> str:
    """One finding, with its label and, where it is in another language, its frame."""
    passage = finding.passage
    text = _join(finding.sentences, passage.language)
    label = _label(question, finding, own)
    bold = f"**{label}**" if label else ""
    if passage.language == own.code:
        colon = "：" if own.code in ("zh", "ja") else " :" if own.code == "fr" else ":"
        gap = "\n" if text.startswith("- ") else "" if colon == "：" else " "
        return f"{bold}{colon}{gap}{text}" if bold else text
    foreign = language(passage.language)
    name = own.names.get(passage.language, foreign.name)
    frame = _phrase(own, "foreign", language=name)
    opening, closing = _QUOTES.get(passage.language, _OTHER_QUOTES)
    quoted = text if text.startswith("- ") else f"{opening}{text}{closing}"
    about = f"{bold} – " if bold else ""
    gap = "\n" if text.startswith("- ") else " "
    return f"{about}{frame}\n\n**{passage.title}**:{gap}{quoted}"


def answer(question: Question, findings: Sequence[Finding], facts: Facts, seed: int) -> str:
    """The answer to one question."""
    own = language(question.language)
    if not findings:
        return _nothing(own, facts)
    opener = ""
    missing = _unnamed(question, findings, own)
    if missing:
        opener = _phrase(own, "unnamed", name=missing)
    elif findings[0].passage.language == own.code:
        leads = own.phrases["lead"]
        opener = leads[_pick(seed, question.text, len(leads))]
    parts = [_stated(question, finding, own) for finding in findings]
    if len(parts) > 1 and all(finding.passage.language == own.code for finding in findings):
        parts = ["\n".join(f"- {part}" if "\n" not in part else part for part in parts)]
    return "\n\n".join(part for part in [opener, *parts] if part)


def _nothing(own: Language, facts: Facts) -> str:
    text = _phrase(own, "nothing")
    if facts.contact:
        text += " " + _phrase(own, "contact", contact=facts.contact)
    return text


def contact(own: Language, facts: Facts) -> str:
    """Where the shop can be reached, by the prompt's own line."""
    return _phrase(own, "contact", contact=facts.contact)


def greeting(code: str, facts: Facts) -> str:
    """Hello, and what can be asked."""
    own = language(code)
    text = _phrase(own, "hello")
    titles = [passage.title for passage in facts.passages if passage.language == code]
    titles = titles or [passage.title for passage in facts.passages]
    if titles:
        listed = "\n".join(f"- {title}" for title in titles[:GREETED_TITLES])
        text += f"\n\n{_phrase(own, 'ask')}\n{listed}"
    return text


def thanks(code: str) -> str:
    """You are welcome."""
    return _phrase(language(code), "welcome")


def found(code: str, text: str) -> str:
    """What a tool gave."""
    return f"{_phrase(language(code), 'found')}\n\n{text}"


def needed(code: str, what: str | None) -> str:
    """What is still missing for a tool; None: the order's number."""
    own = language(code)
    return _phrase(own, "need", what=what or own.phrases["order_number"])


def demo_line(code: str) -> str:
    """That this is a demo."""
    return f"_{_phrase(language(code), 'demo')}_"


def _pick(seed: int, text: str, choices: int) -> int:
    digest = hashlib.blake2b(f"{seed}/{text}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) % choices
