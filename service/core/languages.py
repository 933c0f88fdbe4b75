"""The languages that Parley answers in, as a list, and a guess at which one a message is in.

The guess is small on purpose: it has no dependency, costs some ten microseconds and is wrong now
and then on two words without an accent. That is harmless, because it starts from a prior (the
conversation's language, at first the page's) and keeps it unless the message says otherwise. It
goes by script first. Han with kana is Japanese, Hangul Korean, Greek Greek; the other scripts are
shared by several languages and are told apart by common words, letters and pieces of words
(`language_marks`). Numbers, links and order codes are no evidence and are masked: "A-10293" alone
looks Hungarian to a statistical detector.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from service.core.language_marks import OWN_LETTERS, PIECES, SHARED_LETTERS, WORDS

Direction = Literal["ltr", "rtl"]
Script = Literal["Hans", "Latn", "Cyrl", "Jpan", "Arab", "Grek", "Kore"]


class Language(msgspec.Struct, frozen=True):
    """One language: BCP-47 code, names in English and in itself, direction, ISO 15924 script."""

    code: str
    english: str
    own: str
    direction: Direction = "ltr"
    script: Script = "Latn"


LANGUAGES: dict[str, Language] = {
    language.code: language
    for language in (
        Language("zh", "Chinese", "中文", script="Hans"),
        Language("en", "English", "English"),
        Language("ru", "Russian", "русский", script="Cyrl"),
        Language("es", "Spanish", "español"),
        Language("de", "German", "Deutsch"),
        Language("fr", "French", "français"),
        Language("it", "Italian", "italiano"),
        Language("pt", "Portuguese", "português"),
        Language("pl", "Polish", "polski"),
        Language("ja", "Japanese", "日本語", script="Jpan"),
        Language("nl", "Dutch", "Nederlands"),
        Language("ar", "Arabic", "العربية", "rtl", "Arab"),
        Language("tr", "Turkish", "Türkçe"),
        Language("cs", "Czech", "čeština"),
        Language("vi", "Vietnamese", "Tiếng Việt"),
        Language("fa", "Persian", "فارسی", "rtl", "Arab"),
        Language("hu", "Hungarian", "magyar"),
        Language("el", "Greek", "ελληνικά", script="Grek"),
        Language("ro", "Romanian", "română"),
        Language("sv", "Swedish", "svenska"),
        Language("uk", "Ukrainian", "українська", script="Cyrl"),
        Language("fi", "Finnish", "suomi"),
        Language("ko", "Korean", "한국어", script="Kore"),
        Language("da", "Danish", "dansk"),
        Language("bg", "Bulgarian", "български", script="Cyrl"),
        Language("no", "Norwegian", "norsk"),
    )
}

# Primary subtags that browsers and shops send for a language of the list.
ALIASES = {
    "nb": "no",  # Bokmål and Nynorsk: one list entry, readers of one read the other
    "nn": "no",
    "cmn": "zh",
    "yue": "zh",
    "arb": "ar",
    "pes": "fa",
    "prs": "fa",
    "mo": "ro",  # Moldovan's old tag
}
TAG_CHARACTERS = 64  # RFC 5646 advises 35 and over; longer ones are no language tags


def match(tag: str | None, among: Sequence[str], default: str) -> str:
    """The entry of ``among`` for the BCP-47 ``tag`` (RFC 4647 lookup), else ``default``.

    "zh-Hant-TW" finds "zh-Hant" before "zh"; case and "_" for "-" do not matter; "nb" and "nn"
    find "no". Anything that is no tag gives ``default``.
    """
    if not tag or len(tag) > TAG_CHARACTERS:
        return default
    subtags = tag.strip().lower().replace("_", "-").split("-")
    if not all(part.isascii() and part.isalnum() for part in subtags):
        return default
    known = {entry.lower(): entry for entry in among}
    for first in dict.fromkeys((subtags[0], ALIASES.get(subtags[0], subtags[0]))):
        for end in range(len(subtags), 0, -1):
            found = known.get("-".join([first, *subtags[1:end]]))
            if found is not None:
                return found
    return default


def direction(code: str) -> Direction:
    """Which way the language of ``code``, or of a tag such as "fa-IR", is written."""
    return LANGUAGES[match(code, tuple(LANGUAGES), "en")].direction


# -- the guess ------------------------------------------------------------------------------

CHARACTERS_READ = 600  # more tells nothing new, and bounds the cost of a 2,000-character message
LETTERS_NEEDED = 3  # "ok" and ":D" say nothing in Latin script
EVIDENCE_NEEDED = 0.45  # about one word that two languages share
PRIOR_WEIGHT = 0.35  # decides between equals, yields to one telling word
LETTER_REPEATS = 3  # so that one odd name does not decide
SHORT_HAN = 4  # characters of a word or two
CHINESE_ONLY = frozenset("们这吗么钱货发给现还运费时间买卖单订换怎谢您你呢哪吧啊寄码")
OWN_LETTER = 1.4  # more than a word: a language's own letter is rarely typed by accident
FOLDED_WEIGHT = 0.6  # a word typed without its accents is weaker evidence

# Links, addresses, handles, and whatever holds a digit. Each begins where no such character stands
# before it: without that, a long run without a match would cost its square.
_MASKED = re.compile(
    r"(?:https?://|www\.)[!-~]+|(?<![!-~])[!-~]+@[!-~]+|[@#]\w+"
    r"|(?<![A-Za-z0-9])[A-Za-z]+-(?=[A-Z0-9-]*\d)[A-Za-z0-9-]+|[0-9]+[A-Za-z0-9_./:-]*"
)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_VIETNAMESE = re.compile("[\u1ea0-\u1ef9]")  # the block of letters with two marks, or a dot below
_SCRIPTS: tuple[tuple[str, re.Pattern[str], int], ...] = (
    # Name, letters, weight. A Han character is about a word; Latin letters weigh least, because
    # every script quotes brands and names in them.
    ("kana", re.compile("[\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f]"), 4),
    ("han", re.compile("[\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"), 4),
    ("hangul", re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]"), 4),
    ("greek", re.compile("[\u0370-\u03ff\u1f00-\u1fff]"), 2),
    ("cyrillic", re.compile("[\u0400-\u052f]"), 2),
    ("arabic", re.compile("[\u0620-\u065f\u066e-\u06ef\ufb50-\ufdff\ufe70-\ufefc]"), 2),
    ("latin", re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]"), 1),
)
# The languages of a script; the first is meant where a message tells nothing but its script.
_SHARED: dict[str, tuple[str, ...]] = {
    "cyrillic": ("ru", "uk", "bg"),
    "arabic": ("ar", "fa"),
    "latin": tuple(code for code, entry in LANGUAGES.items() if entry.script == "Latn"),
}


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text.replace("ı", "i").replace("ł", "l"))
    return "".join(mark for mark in decomposed if not unicodedata.combining(mark))


def _index() -> dict[str, dict[str, float]]:
    """word -> language -> weight; a word of n languages weighs 1/n in each."""
    owners: dict[str, set[str]] = {}
    folded: dict[str, set[str]] = {}
    for code, words in WORDS.items():
        for word in words.split():
            owners.setdefault(word, set()).add(code)
            if code not in ("ar", "fa") and len(word) > 2 and _fold(word) != word:
                folded.setdefault(_fold(word), set()).add(code)
    index = {word: dict.fromkeys(codes, 1 / len(codes)) for word, codes in owners.items()}
    for word, codes in folded.items():
        shared = len(codes | owners.get(word, set()))
        for code in codes - owners.get(word, set()):
            index.setdefault(word, {})[code] = FOLDED_WEIGHT / shared
    return index


_WEIGHTS = _index()
_LETTERS: dict[str, dict[str, float]] = {
    **{letter: {code: OWN_LETTER} for code, letters in OWN_LETTERS.items() for letter in letters},
    **SHARED_LETTERS,
}


def guess(text: str, *, prior: str) -> str:
    """The code of the language that ``text``, a chat message, is most likely in.

    ``prior`` is the answer where the text gives too little evidence, and decides between equals.
    The same text and prior always give the same answer.
    """
    plain = _MASKED.sub(" ", unicodedata.normalize("NFC", text[:CHARACTERS_READ]))
    script = "latin" if plain.isascii() else _script(plain)
    if script == "kana":
        return "ja"
    if script == "hangul":
        return "ko"
    if script == "han":
        # A Japanese word or two may come without kana; then only the prior can tell.
        brief = len(plain.strip()) <= SHORT_HAN and not CHINESE_ONLY & set(plain)
        return "ja" if prior == "ja" and brief else "zh"
    if script == "greek":
        return "el"
    if script is None or sum(map(str.isalpha, plain)) < LETTERS_NEEDED:
        return prior
    return _among(_SHARED[script], plain.lower().replace("’", "'"), prior)


def _script(text: str) -> str | None:
    counts = {name: weight * len(letters.findall(text)) for name, letters, weight in _SCRIPTS}
    # Japanese mixes kana into its Han characters; Chinese borrows a の for decoration at most.
    if counts["kana"] * 5 >= counts["han"]:
        counts["kana"] += counts["han"] if counts["kana"] else 0
    name = max(counts, key=lambda name: counts[name])
    return name if counts[name] else None


def _among(candidates: tuple[str, ...], text: str, prior: str) -> str:
    scores = dict.fromkeys(candidates, 0.0)
    for weights, factor in _evidence(text):
        for code, weight in weights.items():
            if code in scores:
                scores[code] += weight * factor
    if max(scores.values()) < EVIDENCE_NEEDED:
        # Latin letters alone prove nothing (a brand, a name); the other scripts exclude the rest.
        return prior if prior in scores or "en" in scores else candidates[0]
    if prior in scores:
        scores[prior] += PRIOR_WEIGHT
    return max(candidates, key=lambda code: scores[code])


def _evidence(text: str) -> Iterator[tuple[dict[str, float], int]]:
    """What speaks for which language in ``text`` (lower case), and how often."""
    for word in _WORD.findall(text):
        if word in _WEIGHTS:
            yield _WEIGHTS[word], 1
    for piece, weights in PIECES.items():
        if piece in text:
            yield weights, 1
    if not text.isascii():
        for letter in sorted(set(text) & _LETTERS.keys()):  # sums of floats depend on order
            yield _LETTERS[letter], min(text.count(letter), LETTER_REPEATS)
        yield {"vi": OWN_LETTER}, min(len(_VIETNAMESE.findall(text)), LETTER_REPEATS)
