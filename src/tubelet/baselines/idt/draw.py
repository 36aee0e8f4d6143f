"""A number of trajectories drawn from a video's while they come, before anybody knows how many there are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tubelet.baselines.idt.settings import IdtSettings
from tubelet.baselines.idt.tracks import Trajectories, joined

_SPARE = 1.5  # times the number wanted is held before what lost is thrown away


class Draw:
    """Every set of ``most`` trajectories is as likely as any other; the memory is that of 1.5 times as many.

    Each trajectory gets a random number when it comes, and the smallest numbers win.

    Parameters
    ----------
    most
        Trajectories kept; all, where there are no more.
    seed
        Of the random numbers. The same trajectories in the same order give the same draw, however they are grouped.
    settings
        Of the trajectories.
    """

    def __init__(self, most: int, seed: int, settings: IdtSettings) -> None:
        self._most = most
        self._settings = settings
        self._rng = np.random.default_rng(seed)
        self._parts: list[Trajectories] = []
        self._keys: NDArray[np.float64] = np.zeros(0)
        self._bar = 1.0  # a number from here on has lost already

    @property
    def held(self) -> int:
        """Trajectories held at the moment."""
        return len(self._keys)

    def add(self, found: Trajectories) -> None:
        """Take part in the draw."""
        keys = self._rng.random(len(found))
        hopeful = keys < self._bar
        if not hopeful.any():
            return
        self._parts.append(found.take(hopeful))
        self._keys = np.concatenate([self._keys, keys[hopeful]])
        if len(self._keys) > _SPARE * self._most:
            self._prune()

    def kept(self) -> Trajectories:
        """The drawn trajectories, in the order in which they came."""
        self._prune()
        return joined(self._parts, self._settings)

    def _prune(self) -> None:
        if len(self._keys) <= self._most:
            return
        winners = np.sort(np.argsort(self._keys, kind="stable")[: self._most])
        self._parts = [joined(self._parts, self._settings).take(winners)]
        self._keys = self._keys[winners]
        self._bar = float(self._keys.max())
