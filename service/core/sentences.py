"""Where a sentence ends and what begins one, in the 26 languages, without knowing which it is.

A full stop need not end a sentence ("z. B.", "e.g.", "т. е."), and what ends one may stand inside
of quotes, brackets or marks of Markdown. A line's end ends a sentence where the line is a heading,
an item, a row, or leads over to what follows with a colon.

What begins a sentence is harder. Chinese, Japanese, Korean, Arabic and Persian have no capitals.
And a capital begins no sentence by itself: names have one in the middle of a sentence too, and in
German every noun has. So `capitalises` asks the text itself whether its writers do that.
"""

import re
import unicodedata
from typing import Literal, cast

Mark = Literal["heading", "bullet", "number", "row", "quote"]

_ENDS = ".!?…。！？．｡؟۔‼⁇⁈⁉"
_GREEK_QUESTION = ";\u037e"  # the semicolon ends a question in Greek, and nothing elsewhere
_CLOSE = "\"'”’»›«“‘)]}）］｝】」』》〉*_`~\u200d\ufe0f"  # may stand between the end and its mark
_OPEN = "\"'“‘„‚«»‹›([{（［｛【「『《〈¿¡*_`~"  # may stand before a sentence's first letter

# Joins what is before it to what comes: a comma, a bracket that closes, the rest of "it's".
_CLINGS = ",.;:!?…%)]}»”’·،؛؟。、，．！？：；）］｝】」』》〉/–—'\u037e"

_PAIRED = '"*_`~'  # opens and closes alike: it opens where a letter follows

_BLOCK = re.compile(
    r"[ \t]*(?:(?P<heading>\#{1,6}) |(?P<bullet>[-*+•–]) |(?P<number>\d{1,3}[.)]) "
    r"|(?P<row>\|)|(?P<quote>>) ?)"
)

# A full stop after one of these is the word's own. Those with a full stop inside ("p.m.", "п.п.")
# and single letters need not stand here.
_ABBREVIATIONS = frozenset(
    re.findall(
        r"\S+",
        """
    abb abs adr al alt anm apr approx appt art atd aug av avd avg bd bijv bkz bl blz bsp bull bv bzw
    ca cf cm co corp dec dep dept doc dott dr dres dva e.g ebd eig eks el enl esim esq etc etw evtl
    excl feb fig fr fra ggf gl gmbh govt hal hr hrs i.e ibid id inc incl ing inkl int inv itd iz jan
    jf jr jul jun kap kb kl km kpl ks ltd lør mag mar max mfl mg mgr mil min mind mio mkr mm mr mrs
    ms mvh mwst nám napr např nn no nov nr nro núm obr oct odst okl okt ons op orig osv ot pag par
    pcs pl pkt pp ppa prof pron ps pt pvm rev sal sec sen sept seq sog spec spol sr sra srta st stk
    str stb sv szept tab tal tel temp tir tis tlf tj tln tor tzn tzv u.a ul usw vb vd vl vol vs wg
    yd zb zkr zł zzgl örn ör π.χ αρ βλ δηλ κ κλπ λεπ ον σελ τηλ бул вкл вул ггрн гр грн гл див др
    ин им коп кв лв млн млрд мин напр наприм обл оф пер пл пр просп разд рис руб см стр ст табл тел
    тис тыс ул щоб
        """,
    )
)
_LONGEST_PART = 3  # letters between the full stops of "z.B." or "p.m."; an address has more

_SPACELESS = re.compile(
    r"[\u2e80-\u30ff\u31f0-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
)
_FACE = re.compile(r"[:;=]['-]?[)(\]DP]$")
_SYLLABLE = re.compile(r"[\u3041-\u30ff\uac00-\ud7a3]")
_CAPITALISING = 0.2  # of the words inside sentences; German has 0.25 to 0.35, others below 0.1
_FEW_WORDS = 3  # two names are no habit


# -- characters -------------------------------------------------------------------------------


def spaceless(char: str) -> bool:
    """Whether ``char`` belongs to a script that puts no spaces between words: Chinese, Japanese."""
    return _SPACELESS.match(char) is not None


def weight(text: str) -> float:
    """Length in letters of an alphabet: an ideograph is two, a sign for a syllable one and a half.

    So a run of so much weight is about as rare in one script as in another.
    """
    if text.isascii():
        return len(text)
    return sum(1.5 if _SYLLABLE.match(c) else 1 + spaceless(c) for c in text)


def combines(char: str) -> bool:
    """Whether ``char`` is drawn onto the one before it: an accent, a joiner, a tone of skin."""
    return unicodedata.category(char) in ("Mn", "Mc", "Me", "Cf") or "🏻" <= char <= "🏿"


def clings(text: str) -> bool:
    """Whether ``text`` begins with what belongs to something before it."""
    first = text[0]
    if first in _CLINGS or combines(first):
        return True
    if first == "-":  # a hyphen, unless it begins an item
        return text[1:2].isalnum()
    if first in _PAIRED and mark_of(text) is None:
        after = text.lstrip(_PAIRED)
        return not (after and (after[0].isalnum() or after[0] in _OPEN))
    return False


def starts_word(text: str, at: int) -> bool:
    """Whether a word may begin at ``at``: no letter stands before it, or none need be divided."""
    if combines(text[at]):
        return False
    if at == 0 or spaceless(text[at]) or spaceless(text[at - 1]):
        return True
    before = text[at - 1]
    inside = text[at].isalnum() and (before.isalnum() or combines(before))
    return not inside


# -- ends -------------------------------------------------------------------------------------


def is_open(text: str) -> bool:
    """Whether ``text`` stops inside of a sentence. Where that is unclear, it does."""
    if text.rstrip(" \t\u00a0").endswith("\n"):
        return False
    body = text.rstrip(_CLOSE + " \t\n\u00a0\u202f")
    if not body or _FACE.search(text.rstrip()[-3:]):
        return False
    last = body[-1]
    if last == ".":
        return _abbreviates(body)
    if last in _GREEK_QUESTION:
        return not _greek(body)
    return not (last in _ENDS or _pictures(last))


def ends_line(text: str) -> bool:
    """Whether ``text`` stops where a line may end without a full stop."""
    last = text.rstrip().rpartition("\n")[2]
    return mark_of(last) is not None or last.endswith((":", "：")) or not is_open(text)


def _abbreviates(text: str) -> bool:
    found = re.search(r"([^\W\d_](?:[\w.]*[^\W_])?)\.$", text[-24:])
    if found is None:
        return False
    word = found[1].casefold()
    parts = word.split(".")
    short = all(0 < len(part) <= _LONGEST_PART for part in parts)
    return word in _ABBREVIATIONS or len(word) == 1 or (len(parts) > 1 and short)


def _greek(text: str) -> bool:
    return re.search(r"[\u0370-\u03ff\u1f00-\u1fff]", text[-40:-1]) is not None


def _pictures(char: str) -> bool:
    return char >= "\U0001f000" or "\u2600" <= char <= "\u27bf" or char in "ㅋㅎㅠㅜ"


# -- beginnings -------------------------------------------------------------------------------


def mark_of(line: str) -> Mark | None:
    """What ``line`` is in Markdown, if it is a block's line."""
    found = _BLOCK.match(line)
    return cast(Mark, found.lastgroup) if found else None


def first_letter(text: str) -> str:
    """The first letter or digit of a sentence, behind quotes and marks; "" where none comes so."""
    found = _BLOCK.match(text)
    rest = text[found.end() if found else 0 :].lstrip().lstrip(_OPEN).lstrip()
    return rest[0] if rest and rest[0].isalnum() else ""


def capitalises(text: str) -> bool:
    """Whether ``text`` writes many words inside its sentences with a capital, as German does."""
    inside: list[str] = re.findall(r"(?<![.!?:…\n])[ \u00a0]([^\W\d_]+)", text)
    capitals = sum(word[0].isupper() and not word[1:2].isupper() for word in inside)
    return capitals >= _FEW_WORDS and capitals >= _CAPITALISING * len(inside)
