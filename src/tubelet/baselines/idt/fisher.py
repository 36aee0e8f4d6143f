"""Fisher vectors: a video as the direction in which a mixture of Gaussians would have to change to fit it better.

Perronnin, Sánchez and Mensink, "Improving the Fisher kernel for large-scale image classification", ECCV 2010; as
improved dense trajectories use it (Wang and Schmid 2013, section 4.2): every channel by principal components to half
its numbers, 256 Gaussians, signed square root and length one for each channel, channels one behind the other.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from tubelet.baselines.idt.tracks import Floats, drawn
from tubelet.errors import UsageError

_LEAST_VARIANCE = 1e-6


@dataclass(frozen=True)
class FisherSettings:
    """How the mixtures are learned.

    Attributes
    ----------
    gaussians
        Of each channel.
    share
        Numbers that the principal components leave, of a channel's.
    sample
        Trajectories of the training videos that each mixture is learned from; the paper takes 256,000.
    iterations
        Rounds of expectation and maximization at most; a mixture that still moves then is taken as it is.
    seed
        Of the draw and of the start.
    """

    gaussians: int = 256
    share: float = 0.5
    sample: int = 256_000
    iterations: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("gaussians", "sample", "iterations"):
            if getattr(self, name) < 1:
                raise UsageError(f"Fisher vectors cannot have {name} = {getattr(self, name)}", remedy="give at least 1")
        if not 0 < self.share <= 1:
            raise UsageError(f"Fisher vectors cannot have share = {self.share}", remedy="give more than 0, at most 1")

    def components(self, size: int) -> int:
        """Principal components that are kept of a channel of ``size`` numbers."""
        return max(1, int(size * self.share))

    def least(self, size: int) -> int:
        """Trajectories that a channel of ``size`` numbers is learned from at least."""
        return max(self.gaussians, self.components(size))


@dataclass(frozen=True, eq=False)
class Mixture:
    """One channel's components and Gaussians.

    Attributes
    ----------
    mean, components
        ``(D,)`` and ``(d, D)``: of the principal components.
    weights, means, variances
        ``(K,)``, ``(K, d)``, ``(K, d)``: of the Gaussians, whose covariances are diagonal.
    """

    mean: NDArray[np.float64]
    components: NDArray[np.float64]
    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    variances: NDArray[np.float64]

    def vector(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """The channel's part ``(2 · K · d,)`` for trajectories ``(n, D)``: of means, then of deviations; length one.

        Trajectories of a video are taken as independent draws; without any, zeros.
        """
        size = 2 * self.means.size
        if not len(values):
            return np.zeros(size)
        points = (np.asarray(values, dtype=np.float64) - self.mean) @ self.components.T
        shares = self._responsibilities(points)
        mass, first, second = shares.sum(axis=0)[:, None], shares.T @ points, shares.T @ (points * points)
        deviations = np.sqrt(self.variances)
        of_means = (first - mass * self.means) / deviations
        of_deviations = (second - 2 * self.means * first + mass * (self.means**2 - self.variances)) / self.variances
        count, roots = len(points), np.sqrt(self.weights)[:, None]
        raw = np.concatenate(
            [(of_means / (count * roots)).ravel(), (of_deviations / (count * roots * np.sqrt(2.0))).ravel()]
        )
        rooted = np.sign(raw) * np.sqrt(np.abs(raw))
        length = float(np.linalg.norm(rooted))
        normalized: NDArray[np.float64] = rooted / length if length > 0 else rooted
        return normalized

    def _responsibilities(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much of every point ``(n, d)`` each Gaussian explains, ``(n, K)``; rows add up to one."""
        precision = 1.0 / self.variances
        distance = (
            (points * points) @ precision.T
            - 2.0 * points @ (self.means * precision).T
            + (self.means**2 * precision).sum(axis=1)
        )
        logs = np.log(self.weights) - 0.5 * (distance + np.log(self.variances).sum(axis=1))
        logs -= logs.max(axis=1, keepdims=True)
        shares: NDArray[np.float64] = np.exp(logs)
        shares /= shares.sum(axis=1, keepdims=True)
        return shares


@dataclass(frozen=True, eq=False)
class FisherEncoder:
    """The mixtures of all channels; `learn_mixtures` makes them."""

    mixtures: Mapping[str, Mixture]

    @property
    def size(self) -> int:
        """Numbers of a video: 2 · K · d of each channel, 109,056 with the defaults."""
        return sum(2 * mixture.means.size for mixture in self.mixtures.values())

    def encode(self, channels: Mapping[str, NDArray[np.floating]]) -> Floats:
        """A video's vector ``(size,)`` float32 of its trajectories ``(n, D)`` by channel; each part has length one."""
        parts = [mixture.vector(channels[name]) for name, mixture in self.mixtures.items()]
        return np.concatenate(parts).astype(np.float32)


def learn_mixtures(samples: Mapping[str, NDArray[np.floating]], settings: FisherSettings) -> FisherEncoder:
    """Principal components and Gaussians of every channel for itself.

    Parameters
    ----------
    samples
        ``(n, D)`` trajectories of training videos, by channel; no more than ``sample`` of them are used.
    settings
        See `FisherSettings`.

    Raises
    ------
    UsageError
        There are fewer trajectories than Gaussians or components.
    """
    found: dict[str, Mixture] = {}
    for name, values in samples.items():
        numbers = settings.components(values.shape[1])
        if len(values) < (least := settings.least(values.shape[1])):
            raise UsageError(
                f"{settings.gaussians} Gaussians of {numbers} numbers need at least {least} trajectories, there are "
                f"{len(values)}",
                remedy="learn fewer Gaussians, or give more training videos",
            )
        chosen = np.asarray(drawn(values, settings.sample, settings.seed), dtype=np.float64)
        reduced = PCA(numbers, svd_solver="covariance_eigh").fit(chosen)
        fitted: Any = GaussianMixture(
            settings.gaussians,
            covariance_type="diag",
            reg_covar=_LEAST_VARIANCE,
            max_iter=settings.iterations,
            init_params="k-means++",
            random_state=settings.seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            # In float32 2.4 times as fast, with the same likelihood (docs/measured.md).
            fitted.fit(reduced.transform(chosen).astype(np.float32))
        gaussians = [fitted.weights_, fitted.means_, fitted.covariances_]
        found[name] = Mixture(reduced.mean_, reduced.components_, *(part.astype(np.float64) for part in gaussians))
    return FisherEncoder(found)
