"""What is known of the 26 languages: one file each in `languages/`, read when first needed.

A file's lists are words separated by spaces, `_` standing for a space within a phrase (between
whose words up to two others may come: "send it back"), `$` at the
end of what must be a whole word. How the others match is the language's own (`match`): as the
beginning of a word (`prefix`), as whole words (`whole`), anywhere since nothing separates words
(`anywhere`), or as a beginning and, from `inside` letters on (default 5), in mid-word: compounds
and joined particles.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from service.simulator.answers.folding import compact, fold, spaced

CODES = (
    *("zh", "en", "ru", "es", "de", "fr", "it", "pt", "pl", "ja", "nl", "ar", "tr"),
    *("cs", "vi", "fa", "hu", "el", "ro", "sv", "uk", "fi", "ko", "da", "bg", "no"),
)
_INSIDE = 5  # letters from which a stem may stand in mid-word, where the language compounds
_SHORT_NAME = 4  # letters that trimming leaves of a country's name
_GAP = r"\w* (?:\w+ ){0,2}"  # between the words of a phrase
_NEVER = re.compile(r"(?!)")


@dataclass(frozen=True)
class Language:
    """One language: its words for topics, colours and places, and its phrases."""

    code: str
    name: str
    unspaced: bool
    letters: frozenset[str]
    stopwords: frozenset[str]
    phrases: Mapping[str, Any]
    names: Mapping[str, str]  # of languages, as in "written in …"
    concepts: Mapping[str, re.Pattern[str]]
    colours: Mapping[str, tuple[str, re.Pattern[str]]]
    places: Mapping[str, tuple[str, re.Pattern[str]]]
    greetings: re.Pattern[str]
    thanks: re.Pattern[str]
    followups: re.Pattern[str]
    pointers: re.Pattern[str]

    @cached_property
    def ignored(self) -> frozenset[str]:
        """The frequent words, folded: they say nothing of what a text is about."""
        return frozenset(fold(word) for word in self.stopwords)

    def normal(self, text: str) -> str:
        """`text` in the form that the patterns are made for."""
        return compact(text) if self.unspaced else spaced(text)

    def topics(self, text: str) -> frozenset[str]:
        """The topics that `text` touches."""
        normal = self.normal(text)
        touched = {name for name, found in self.concepts.items() if found.search(normal)}
        if {"returns", "shipping"} <= touched:  # "send it back" has nothing of shipping in it
            rest = self.concepts["returns"].sub(" ", normal)
            if not self.concepts["shipping"].search(rest):
                touched.discard("shipping")
        return frozenset(touched)

    def named(self, text: str) -> tuple[list[str], list[str]]:
        """The places (ISO codes) and colours that `text` names."""
        normal = self.normal(text)
        places = [code for code, (_, found) in self.places.items() if found.search(normal)]
        colours = [name for name, (_, found) in self.colours.items() if found.search(normal)]
        return places, colours


def _pattern(
    stems: Iterable[str], mode: str, inside: int, *, start: bool = False
) -> re.Pattern[str]:
    """One pattern for all stems; with `start`, only at the beginning of the text."""
    parts = []
    for stem in stems:
        whole = stem.endswith("$") or mode == "whole"
        words = stem.rstrip("$").replace("_", " ")
        if mode == "anywhere":
            parts.append(re.escape(compact(words)))
            continue
        word = spaced(words).strip()
        if mode != "whole":
            word = word.replace(" ", _GAP)
        if whole:
            parts.append(f" {word} ")
        elif mode == "inside" and len(word) >= inside and not start:
            parts.append(word)
        else:
            parts.append(f" {word}")
    if not parts:
        return _NEVER
    return re.compile(("^" if start else "") + f"(?:{'|'.join(parts)})")


def _place(names: str, trim: int, mode: str) -> tuple[str, re.Pattern[str]]:
    """A place's shown name and the pattern for all its names, endings trimmed where they vary."""
    shown, *_ = alternatives = names.split("|")
    if mode == "anywhere":
        return shown, re.compile("|".join(re.escape(compact(name)) for name in alternatives))
    parts = []
    for name in alternatives:
        words = spaced(name).split()
        abbreviation = name.isupper() or len(words[-1]) < _SHORT_NAME
        if abbreviation or mode == "whole":
            parts.append(rf" {' '.join(words)} ")
            continue
        kept = [re.escape(word[: max(_SHORT_NAME, len(word) - trim)]) for word in words]
        # Particles are joined to the name in front in Arabic and Persian.
        before = r" \w{0,3}" if mode == "inside" and not fold(name).isascii() else " "
        parts.append(before + r"\w* ".join(kept))
    return shown, re.compile("|".join(parts))


@cache
def language(code: str) -> Language:
    """The language of that code; `KeyError` for one that is not among `CODES`."""
    if code not in CODES:
        raise KeyError(code)
    path = files("service.simulator.answers") / "languages" / f"{code}.toml"
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    mode, inside = raw["match"], raw.get("inside", _INSIDE)

    def words(text: str, *, start: bool = False) -> re.Pattern[str]:
        return _pattern(text.split(), mode, inside, start=start)

    colours = {}
    for name, text in raw["colours"].items():
        shown, *stems = text.split()
        colours[name] = (shown.replace("_", " "), words(" ".join(stems or [shown])))
    trim = raw.get("trim", 0)
    return Language(
        code=code,
        name=raw["name"],
        unspaced=mode == "anywhere",
        letters=frozenset(raw.get("letters", "")),
        stopwords=frozenset(word.replace("_", " ") for word in raw["stopwords"].split()),
        phrases=raw["phrases"],
        names=raw["in"],
        concepts={name: words(text) for name, text in raw["concepts"].items()},
        colours=colours,
        places={place: _place(text, trim, mode) for place, text in raw["places"].items()},
        greetings=words(raw["greetings"], start=True),
        thanks=words(raw["thanks"]),
        followups=words(raw["followups"], start=True),
        pointers=words(raw["pointers"]),
    )


def languages() -> list[Language]:
    """All of them, in the order of `CODES`."""
    return [language(code) for code in CODES]
