"""Text as the model sees it: one spelling per word, and a skeleton that Arabic and Latin letters share."""

import re
import unicodedata
from typing import NamedTuple

LONGEST_TEXT = 8_000
"""Characters read of a text: the longest a complaint may be. What follows is not looked at."""

LONGEST_WORD = 32
"""Characters kept of one word: no language written here has longer ones; a wall of letters is noise."""

_WORD = re.compile(r"[^\W_]+")
_MARKS = re.compile(r"[\u064b-\u065f\u0670\u0640]")
# One alif, one ya, ha for ta marbuta, and the Persian letters people use for g, p, v and ch.
_LETTERS = str.maketrans("أإآٱىةؤئگڤپچœæ٠١٢٣٤٥٦٧٨٩", "اااايهويڭفبشoa0123456789", "\u0000")
_TAG = re.compile(r"<[^<>]{0,200}>")
_SYMBOL_RUN = re.compile(r"(.)\1{3,}")

_ARABIC_SOUNDS = {
    **dict.fromkeys("اويءيهة", ""),
    **{"ب": "b", "ت": "t", "ث": "t", "ج": "j", "ح": "7", "خ": "5", "د": "d", "ذ": "d", "ر": "r", "ز": "z"},
    **{"س": "s", "ش": "x", "ص": "s", "ض": "d", "ط": "t", "ظ": "d", "ع": "3", "غ": "4", "ف": "f", "ق": "9"},
    **{"ك": "k", "ل": "l", "م": "m", "ن": "n", "ه": "h", "ڭ": "g"},
}
# Arabizi has no spelling: these are the sounds that people write in more than one way.
_LATIN_SOUNDS = (
    ("ch", "x"), ("sh", "x"), ("kh", "5"), ("gh", "4"), ("ou", ""), ("th", "t"), ("dh", "d"), ("ph", "f"),
    ("q", "9"), ("c", "k"), ("8", "h"), ("6", "t"),
)  # fmt: skip
_VOWELS = re.compile(r"[aeiouyw']")
_DOUBLED = re.compile(r"(.)\1+")

_INJECTION = re.compile(
    r"<\s*(?:script|iframe|img|svg|object)\b|\bon(?:error|load|click)\s*=|javascript:"
    r"|\bunion\s+(?:all\s+)?select\b|\bselect\b[^.;\n]{1,80}\bfrom\b[^.\n]{0,80}(?:\bwhere\b|;|--)|\bselect\s+\*\s+from\b"
    r"|\bdrop\s+(?:table|database)\b|\binsert\s+into\b|\bdelete\s+from\b|'\s*or\s*'?1'?\s*=\s*'?1|\{\{.*\}\}|\$\{.*\}"
    r"|\b(?:ignore|disregard|forget)\b.{0,30}\b(?:instruction|prompt|rule)s?\b|\bsystem\s+prompt\b"
    r"|\b(?:ignore[zr]?|oublie[zr]?)\b.{0,30}\b(?:instruction|consigne)s?\b",
    re.IGNORECASE | re.DOTALL,
)
_DIRECTION = re.compile(r"[\u202a-\u202e\u2066-\u2069]")


class Reading(NamedTuple):
    """A text as read: its words in one spelling, the words as typed, and whether it looks like an attack or a trick."""

    words: tuple[str, ...]
    typed: tuple[str, ...]
    suspicious: bool


def read(text: str) -> Reading:
    """The words of a text; never raises. Markup is taken away, format characters are dropped."""
    text = text[:LONGEST_TEXT]
    suspicious = bool(_INJECTION.search(text)) or bool(_DIRECTION.search(text)) or "\u0000" in text
    visible = _TAG.sub(" ", text)
    typed = tuple(word[:LONGEST_WORD] for word in _WORD.findall(_unmarked(visible)))
    return Reading(tuple(map(_spelling, typed)), typed, suspicious)


def _unmarked(text: str) -> str:
    # Vowel marks and format characters (bidi, zero width) inside a word would cut it in two.
    text = _MARKS.sub("", text)
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c) not in ("Cf", "Mn"))


def _spelling(word: str) -> str:
    word = word.lower()
    if not word.isascii():
        word = unicodedata.normalize("NFKD", word.translate(_LETTERS))
        word = "".join(c for c in word if not unicodedata.combining(c))
    if word.isdigit() and len(word) > 2:
        return "000"
    return _SYMBOL_RUN.sub(r"\1\1", word)[:LONGEST_WORD]


def is_arabic(word: str) -> bool:
    """Whether the word is in Arabic letters."""
    return "\u0600" <= word[:1] <= "\u06ff"


def skeleton(word: str) -> str:
    """The consonants of a normalised word, as arabizi and Arabic letters both write them; may be empty."""
    if is_arabic(word):
        # The article is written, in arabizi, as a mere l.
        core = word[1:] if word.startswith("ال") and len(word) > 4 else word
        return _DOUBLED.sub(r"\1", "".join(_ARABIC_SOUNDS.get(letter, letter) for letter in core))
    for written, sound in _LATIN_SOUNDS:
        word = word.replace(written, sound)
    return _DOUBLED.sub(r"\1", _VOWELS.sub("", word))


def script_of(words: tuple[str, ...]) -> str:
    """The script most letters are in: `arabic`, `tifinagh`, `latin`, or `none`."""
    counts = {"arabic": 0, "tifinagh": 0, "latin": 0}
    for word in words:
        if word.isdigit():
            continue
        first = word[0]
        if "\u0600" <= first <= "\u06ff":
            counts["arabic"] += len(word)
        elif "\u2d30" <= first <= "\u2d7f":
            counts["tifinagh"] += len(word)
        elif first.isascii() or "\u00c0" <= first <= "\u024f":
            counts["latin"] += len(word)
    best = max(counts, key=lambda script: counts[script])
    return best if counts[best] else "none"
