"""Words for full-text search in Arabic, French and Latin-letter Darija, normalised the same in texts and in queries.

Done here and not by a PostgreSQL text search configuration, which depends on the locale of the cluster (in `C`
neither `unaccent` dictionaries nor `pg_trgm` see Arabic letters) and has no Darija: PostgreSQL stores and finds words.

* hamza carriers, madda and wasla are a bare alef; hamza on waw and ya, and alef maqsura, are waw and ya
* ta marbuta is ha; tatweel, harakat and dagger alef are dropped; Persian and Maghrebi letter forms are joined
* Latin letters lose case and accents; œ and æ are two letters; elided French articles are dropped
* the article (ال with what may be joined before it) is dropped where two letters remain; digits are ASCII
"""

import re
import unicodedata

MOST_WORDS = 400
"""Words kept of one text: a text of 8,000 characters has about twice as many, few of them different."""
_LONGEST_WORD = 40
_LONGEST_QUERY = 12

_LETTERS = str.maketrans(
    {
        "أ": "ا",
        "إ": "ا",
        "آ": "ا",
        "ٱ": "ا",
        "ؤ": "و",
        "ئ": "ي",
        "ى": "ي",
        "ی": "ي",
        "ې": "ي",
        "ة": "ه",
        "ک": "ك",
        "ڪ": "ك",
        "ݣ": "ك",
        "گ": "ك",
        "ڭ": "ك",
        "ڤ": "ف",
        "ڥ": "ف",
        "ڢ": "ف",
        "ڧ": "ق",
        "پ": "ب",
        "چ": "ج",
        "ء": "",
        "ـ": "",
        "œ": "oe",
        "æ": "ae",
        "’": "'",
        "ʼ": "'",
    }
)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_ELISION = re.compile(r"^(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu)'")
_ARTICLE = re.compile(r"^(?:[وف]?(?:ال|بال|كال|لل))(?=.{2})")
_FRENCH_STOPS = (
    *("de", "la", "le", "les", "des", "du", "un", "une", "et", "en", "au", "aux", "a", "pour", "par", "sur", "dans"),
    *("que", "qui", "ne", "pas", "est", "ce", "se", "il", "je"),
)
_ARABIC_STOPS = ("في", "من", "علي", "الي", "عن", "ان", "هذا", "هذه", "التي", "الذي", "و")
_STOPPED = frozenset((*_FRENCH_STOPS, *_ARABIC_STOPS))
"""In the form that `normalise` gives them."""


def normalise(text: str) -> str:
    """The text with each letter in the form that search knows."""
    lowered = unicodedata.normalize("NFKC", text).lower().translate(_LETTERS)
    decomposed = unicodedata.normalize("NFD", lowered)
    plain = "".join(str(int(c)) if c.isdecimal() else c for c in decomposed if not unicodedata.combining(c))
    return plain.translate(_LETTERS)


def words(text: str) -> list[str]:
    """The different words of a text that search finds it by, sorted; at most MOST_WORDS of them, the first ones."""
    found: dict[str, None] = {}
    for word in _each(text):
        found[word] = None
        if len(found) == MOST_WORDS:
            break
    return sorted(found)


def query_of(text: str) -> str | None:
    """The `tsquery` of what a person typed: all the words, the last one as a beginning. None when it has no word."""
    asked = list(dict.fromkeys(_each(text)))[:_LONGEST_QUERY]
    if not asked:
        return None
    return " & ".join([*(f"'{word}'" for word in asked[:-1]), f"'{asked[-1]}':*"])


def vector_of(words_of_text: list[str]) -> str:
    """The `tsvector` literal of words."""
    return " ".join(f"'{word}'" for word in words_of_text)


def _each(text: str) -> list[str]:
    found = []
    for match in _WORD.finditer(normalise(text)):
        word = _ELISION.sub("", match[0]).replace("'", "")
        if word not in _STOPPED:
            word = _ARTICLE.sub("", word)
        if word and word not in _STOPPED:
            found.append(word[:_LONGEST_WORD])
    return found
