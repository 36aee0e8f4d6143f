"""Labels that change when a clip is mirrored, such as "turn left" and "turn right"."""

from __future__ import annotations

import re
from collections.abc import Collection

_MIRRORED = {
    "left": "right",
    "right": "left",
    "leftward": "rightward",
    "rightward": "leftward",
    "leftwards": "rightwards",
    "rightwards": "leftwards",
    "clockwise": "counterclockwise",
    "counterclockwise": "clockwise",
    "cw": "ccw",
    "ccw": "cw",
}
_COUNTER = re.compile(r"(?:counter|anti)[\s_-]?clockwise", re.IGNORECASE)
# Words in "TurnLeft", "turn_left", "turn left 2": an upper-case letter begins a word, all else separates.
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def mirrored_pairs(classes: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of classes that a mirror swaps, judged by the words in their names.

    Parameters
    ----------
    classes
        Class names.

    Returns
    -------
    tuple of pairs
        Each sorted, sorted. Where there is one, mirrored clips in training teach the wrong label.
    """
    by_words = {_words(name): name for name in classes}
    pairs = {
        tuple(sorted((name, by_words[mirrored])))
        for words, name in by_words.items()
        if (mirrored := tuple(_MIRRORED.get(word, word) for word in words)) != words and mirrored in by_words
    }
    return tuple(sorted((first, second) for first, second in pairs))


def _words(name: str) -> tuple[str, ...]:
    text = _COUNTER.sub(" counterclockwise ", name)
    return tuple(word.lower() for word in _WORD.findall(text))
