"""Fisher vectors against the gradient of the log likelihood that they are named for, taken by torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tubelet.baselines.idt.fisher import FisherEncoder, FisherSettings, Mixture, learn_mixtures
from tubelet.errors import UsageError


def mixture(numbers: int = 3, gaussians: int = 4, seed: int = 0) -> Mixture:
    rng = np.random.default_rng(seed)
    weights = rng.random(gaussians) + 0.2
    return Mixture(
        mean=rng.standard_normal(5),
        components=np.linalg.qr(rng.standard_normal((5, 5)))[0][:numbers],
        weights=weights / weights.sum(),
        means=rng.standard_normal((gaussians, numbers)),
        variances=rng.random((gaussians, numbers)) + 0.3,
    )


def test_it_is_the_gradient_of_the_mean_log_likelihood() -> None:
    made = mixture()
    values = np.random.default_rng(1).standard_normal((50, 5))
    points = torch.from_numpy((values - made.mean) @ made.components.T)
    means = torch.from_numpy(made.means.copy()).requires_grad_()
    deviations = torch.from_numpy(np.sqrt(made.variances)).requires_grad_()
    weights = torch.from_numpy(made.weights)
    each = torch.distributions.Normal(means, deviations).log_prob(points[:, None]).sum(dim=2)
    torch.logsumexp(each + weights.log(), dim=1).mean().backward()
    assert means.grad is not None
    assert deviations.grad is not None
    # Perronnin's approximation of the information matrix: w / σ² for means, 2 w / σ² for deviations.
    root, sigma = weights.sqrt()[:, None], deviations.detach()
    raw = torch.cat([(means.grad * sigma / root).ravel(), (deviations.grad * sigma / root / 2**0.5).ravel()]).numpy()
    rooted = np.sign(raw) * np.sqrt(np.abs(raw))
    np.testing.assert_allclose(made.vector(values), rooted / np.linalg.norm(rooted), atol=1e-10)


def test_a_video_without_trajectories_is_zeros() -> None:
    assert not mixture().vector(np.zeros((0, 5))).any()


def test_channels_stand_one_behind_the_other_with_length_one() -> None:
    encoder = FisherEncoder({"hog": mixture(3, 4), "hof": mixture(2, 6, seed=3)})
    values = {name: np.random.default_rng(2).standard_normal((30, 5)) for name in ("hog", "hof")}
    found = encoder.encode(values)
    assert encoder.size == len(found) == 2 * 3 * 4 + 2 * 2 * 6
    np.testing.assert_allclose([np.linalg.norm(found[:24]), np.linalg.norm(found[24:])], 1, atol=1e-6)
    np.testing.assert_allclose(found[:24], encoder.mixtures["hog"].vector(values["hog"]), atol=1e-7)


def test_what_the_mixture_was_learned_from_has_a_gradient_near_zero() -> None:
    rng = np.random.default_rng(4)
    samples = np.concatenate([rng.standard_normal((400, 6)) + 6, rng.standard_normal((400, 6)) - 6])
    encoder = learn_mixtures({"hog": samples}, FisherSettings(gaussians=2, share=0.5, iterations=200))
    learned = encoder.mixtures["hog"]
    assert learned.means.shape == (2, 3)
    np.testing.assert_allclose(np.sort(learned.weights), [0.5, 0.5], atol=0.01)
    points = (samples - learned.mean) @ learned.components.T
    shares = learned._responsibilities(points)
    # At the maximum of the likelihood the gradient of the means vanishes.
    gradient = shares.T @ points - shares.sum(axis=0)[:, None] * learned.means
    assert np.abs(gradient).max() / len(points) < 1e-3


def test_the_papers_size_is_109056() -> None:
    dims = {"shape": 30, "hog": 96, "hof": 108, "mbhx": 96, "mbhy": 96}
    one = {
        name: Mixture(np.zeros(size), np.zeros((size // 2, size)), np.ones(256), *[np.ones((256, size // 2))] * 2)
        for name, size in dims.items()
    }
    assert FisherEncoder(one).size == 2 * 256 * (15 + 48 + 54 + 48 + 48) == 109_056


def test_too_few_trajectories_are_refused() -> None:
    with pytest.raises(UsageError, match="256 Gaussians of 2 numbers"):
        learn_mixtures({"hog": np.zeros((10, 4))}, FisherSettings())
    with pytest.raises(UsageError, match="share"):
        FisherSettings(share=0)
