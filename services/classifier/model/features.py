"""From words to numbers: word, letter and skeleton n-grams, weighted by TF-IDF, without a hashing trick."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.classifier.model.text import skeleton

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]

BLOCKS = ("word", "letters", "skeleton")
"""Each block is brought to length 1 on its own: a long text's letters must not drown its words."""

_LETTERS_FROM, _LETTERS_TO = 2, 5
_CACHED_WORDS = 60_000


class Row(NamedTuple):
    """One text as features: positions in the vocabulary, ascending, their weights, and where each block ends."""

    positions: Ints
    weights: Floats
    ends: tuple[int, ...]


def _ngrams(word: str, prefix: str) -> list[str]:
    padded = f" {word} "
    grams = [
        prefix + padded[start : start + size]
        for size in range(_LETTERS_FROM, _LETTERS_TO + 1)
        for start in range(len(padded) - size + 1)
    ]
    if len(padded) < _LETTERS_TO:
        grams.append(prefix + padded)
    return grams


def features_of_word(word: str) -> tuple[str, list[str], list[str]]:
    """The features that one word gives by itself: the word, its letter n-grams, its skeleton's n-grams."""
    bones = skeleton(word)
    return "w" + word, _ngrams(word, "c"), _ngrams(bones, "s") if bones else []


def features_of(words: Sequence[str]) -> dict[str, list[str]]:
    """All features of a text, by block, with repetitions."""
    blocks: dict[str, list[str]] = {block: [] for block in BLOCKS}
    for word in words:
        itself, letters, bones = features_of_word(word)
        blocks["word"].append(itself)
        blocks["letters"] += letters
        blocks["skeleton"] += bones
    blocks["word"] += [f"b{first} {second}" for first, second in pairwise(words)]
    return blocks


class Vocabulary:
    """The known features, block after block, each with its inverse document frequency."""

    def __init__(self, names: Sequence[str], weights: Floats, blocks: Sequence[int]) -> None:
        """`blocks` are the numbers of features of each block; `weights` the inverse document frequencies."""
        self.names = list(names)
        self.weights = weights
        self.blocks = list(blocks)
        self._position = {name: position for position, name in enumerate(self.names)}
        ends = np.cumsum(self.blocks)
        self._limits = np.asarray(ends, dtype=np.int32)
        self._words: dict[str, tuple[int, Ints]] = {}

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]], terms: Iterable[Sequence[str]] = (), least: int = 2) -> "Vocabulary":
        """The features of the texts and terms: words of all, n-grams of those `least` have, word pairs of terms."""
        frequencies: dict[str, Counter[str]] = {block: Counter() for block in BLOCKS}
        meant: set[str] = set()
        number = 0
        for words, is_term in chain(((words, False) for words in texts), ((words, True) for words in terms)):
            number += 1
            for block, found in features_of(words).items():
                frequencies[block].update(set(found))
                if is_term and block == "word":
                    meant.update(found)
        names: list[str] = []
        counts: list[int] = []
        sizes = []
        for block in BLOCKS:
            kept = sorted(
                name
                for name, count in frequencies[block].items()
                # A word seen once still teaches; a pair of words or a fragment seen once does not.
                if count >= least or name[0] == "w" or name in meant
            )
            names += kept
            counts += [frequencies[block][name] for name in kept]
            sizes.append(len(kept))
        weights = np.log((1 + number) / (1 + np.array(counts, dtype=np.float64))) + 1
        return cls(names, weights.astype(np.float32), sizes)

    def __len__(self) -> int:
        return len(self.names)

    def knows(self, word: str) -> bool:
        """Whether the word as such was in a text learned from."""
        return "w" + word in self._position

    def row(self, words: Sequence[str]) -> Row:
        """The features of a text: logarithmic counts times weights, each block of length 1 (or 0)."""
        found = [self._of_word(word) for word in words]
        get = self._position.get
        singles = [position for position, _ in found if position >= 0]
        singles += [position for first, second in pairwise(words) if (position := get(f"b{first} {second}", -1)) >= 0]
        together = np.concatenate([np.array(singles, dtype=np.int32), *(grams for _, grams in found)])
        positions, counts = np.unique(together, return_counts=True)
        weights = (np.log(counts.astype(np.float32)) + np.float32(1)) * self.weights[positions]
        ends = tuple(np.searchsorted(positions, self._limits).tolist())
        start = 0
        for end in ends:
            part = weights[start:end]
            length = float(np.sqrt(part @ part))
            if length:
                part /= length
            start = end
        return Row(positions, weights, ends)

    def positions_of(self, word: str) -> Ints:
        """The features that are the word's own."""
        itself, grams = self._of_word(word)
        return np.append(grams, np.int32(itself)) if itself >= 0 else grams

    def _of_word(self, word: str) -> tuple[int, Ints]:
        known = self._words.get(word)
        if known is None:
            itself, letters, bones = features_of_word(word)
            get = self._position.get
            grams = [position for name in (*letters, *bones) if (position := get(name, -1)) >= 0]
            known = (get(itself, -1), np.array(grams, dtype=np.int32))
            if len(self._words) >= _CACHED_WORDS:
                self._words.clear()
            self._words[word] = known
        return known
