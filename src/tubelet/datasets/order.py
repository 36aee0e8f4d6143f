"""In which order training samples come: pure functions of the seed and the position in the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tubelet.provenance import derive_seed


class Order(Protocol):
    """Which sample stands at a position of the run, whatever was asked before."""

    def __call__(self, position: int) -> tuple[int, int]:
        """How many times that sample has come before, and its index."""
        ...


class Shuffled:
    """Every sample once an epoch, in an order drawn anew for each.

    Parameters
    ----------
    samples
        How many there are.
    seed
        Fixes all orders.
    """

    def __init__(self, samples: int, seed: int) -> None:
        self._samples = samples
        self._seed = seed
        self._orders: dict[int, NDArray[np.int64]] = {}

    def __call__(self, position: int) -> tuple[int, int]:
        """As :class:`Order`."""
        epoch, place = divmod(position, self._samples)
        order = self._orders.get(epoch)
        if order is None:
            rng = np.random.default_rng(derive_seed(self._seed, "order", epoch))
            order = self._orders[epoch] = rng.permutation(self._samples)
            self._orders.pop(epoch - 2, None)
        return epoch, int(order[place])


class ClassUniform:
    """Every class equally often, however many samples it has (Two-Stream, section 5: "uniformly across the classes").

    The run goes in rounds in which each class comes once, in an order drawn for the round; so in any batch the counts
    of two classes differ by two at most. A class gives its own samples in epochs of its own, each in an order drawn
    for it.

    Parameters
    ----------
    targets
        The class of each sample.
    seed
        Fixes all orders.
    """

    def __init__(self, targets: Sequence[int] | NDArray[np.int64], seed: int) -> None:
        classes = np.asarray(targets)
        self._members = [np.flatnonzero(classes == target) for target in np.unique(classes)]
        self._seed = seed

    def __call__(self, position: int) -> tuple[int, int]:
        """As :class:`Order`."""
        round_, place = divmod(position, len(self._members))
        chosen = int(self._shuffle(len(self._members), "classes", round_)[place])
        members = self._members[chosen]
        epoch, place = divmod(round_, len(members))
        return epoch, int(members[self._shuffle(len(members), "class", chosen, epoch)[place]])

    def _shuffle(self, length: int, *parts: int | str) -> NDArray[np.int64]:
        return np.random.default_rng(derive_seed(self._seed, *parts)).permutation(length)
