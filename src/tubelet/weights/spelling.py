"""Name maps read backwards: under which names a file would hold the tensor that fills one of ours.

A rule's source is a regular expression, so a tensor may have several names: ``fc6[0]`` or ``fc6-1[0]``. They are
spelled out by following the expression from left to right: what a group holds is known from our name, of alternatives
each is taken, and what stands for endlessly many texts is passed over. Every name found is then sent through the map
itself, so that none is given which would not come to its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

from tubelet.weights.rules import Rule, WeightMap

_REFERENCE = re.compile(r"(\\\d+|\\g<\w+>)")
_NAMED = re.compile(r"\?P<(\w+)>")


def spellings(weight_map: WeightMap, target: str) -> Iterator[tuple[str, Rule]]:
    """The names that bring a tensor of a file to ``target``, without prefixes, and the rule for each.

    Parameters
    ----------
    weight_map
        The rules.
    target
        Name of a tensor of the network.

    Yields
    ------
    str, Rule
        In the order of the rules and of the alternatives within one; an optional part is absent first. Nothing where
        no rule leads to the tensor, or only one that takes any name.
    """
    for rule in weight_map.rules:
        if not isinstance(rule, Rule) or (match := _target_pattern(rule).fullmatch(target)) is None:
            continue
        held = {int(key[1:]): text for key, text in match.groupdict().items()}
        for name in _Speller(rule.source, held).spelled():
            decided = weight_map.decide(name)
            if decided is not None and decided[0] == rule and decided[1].expand(rule.target) == target:
                yield name, rule


@cache
def _target_pattern(rule: Rule) -> re.Pattern[str]:
    """An expression for the network's names that a rule leads to; group ``g2`` is what its second group held."""
    speller = _Speller(rule.source, {})
    speller.spelled()
    parts = []
    for part in _REFERENCE.split(rule.target):
        if _REFERENCE.fullmatch(part) is None:
            parts.append(re.escape(part))
            continue
        key = part.removeprefix("\\g<").rstrip(">").removeprefix("\\")
        number = int(key) if key.isdigit() else speller.numbers[key]
        # Where it is referred to twice, both hold the same.
        seen = any(other.startswith(f"(?P<g{number}>") for other in parts)
        parts.append(f"(?P=g{number})" if seen else f"(?P<g{number}>{speller.groups[number]})")
    return re.compile("".join(parts))


class _Speller:
    """Reads a regular expression of the kind that rules have: letters, groups, alternatives, classes, ``?``.

    Attributes
    ----------
    groups
        What each numbered group may hold, as an expression.
    numbers
        Of the groups that have a name.
    """

    def __init__(self, pattern: str, held: Mapping[int, str]) -> None:
        self._pattern, self._held, self._at, self._count = pattern, held, 0, 0
        self.groups: dict[int, str] = {}
        self.numbers: dict[str, int] = {}

    def spelled(self) -> list[str]:
        found = self._alternatives()
        if self._at != len(self._pattern):
            raise ValueError(f"the rule {self._pattern!r} cannot be followed beyond character {self._at}")
        return found

    def _alternatives(self) -> list[str]:
        found = self._sequence()
        while self._next() == "|":
            self._at += 1
            found += self._sequence()
        return list(dict.fromkeys(found))

    def _sequence(self) -> list[str]:
        found = [""]
        while self._next() not in ("", "|", ")"):
            piece = self._piece()
            found = [head + tail for head in found for tail in piece]
        return found

    def _piece(self) -> list[str]:
        sign = self._next()
        self._at += 1
        if sign == "(":
            found = self._group()
        elif sign == "[":
            end = self._pattern.index("]", self._at)
            listed = self._pattern[self._at : end]
            found = list(listed) if not re.search(r"[-^\\]", listed) else []
            self._at = end + 1
        elif sign == "\\":
            found = [self._next()] if not self._next().isalnum() else []
            self._at += 1
        else:
            found = [sign] if sign != "." else []
        return self._repeated(found)

    def _group(self) -> list[str]:
        number = 0
        if self._pattern.startswith("?:", self._at):
            self._at += 2
        else:
            self._count += 1
            number = self._count
            if (named := _NAMED.match(self._pattern, self._at)) is not None:
                self.numbers[named[1]] = number
                self._at = named.end()
        start = self._at
        found = self._alternatives()
        if number:
            self.groups[number] = re.sub(r"\((?:\?P<\w+>)?(?!\?)", "(?:", self._pattern[start : self._at])
        self._at += 1  # the closing parenthesis
        return [self._held[number]] if number in self._held else found

    def _repeated(self, found: list[str]) -> list[str]:
        sign = self._next()
        if sign not in ("?", "*", "+"):
            return found
        self._at += 1
        return found if sign == "+" else ["", *found]

    def _next(self) -> str:
        return self._pattern[self._at : self._at + 1]
