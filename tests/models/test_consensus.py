from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tubelet.errors import UsageError
from tubelet.models.consensus import KINDS, Attention, Average, Consensus, Maximum, TopK, Weighted, make_consensus

GENERATOR = torch.Generator().manual_seed(0)
SCORES = torch.randn(3, 5, 4, generator=GENERATOR, dtype=torch.float64)  # videos, snippets, classes
HIDDEN = torch.randn(3, 5, 6, generator=GENERATOR, dtype=torch.float64)


def made(kind: str, *, segments: int = 5, top_k: int | None = None) -> Consensus:
    """With random weights."""
    consensus = make_consensus(kind, segments=segments, units=6, top_k=top_k).double()
    with torch.no_grad():
        for parameter in consensus.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=GENERATOR, dtype=torch.float64))
    return consensus


def by_numpy(consensus: Consensus, scores: Tensor, hidden: Tensor) -> np.ndarray:
    """The table of spec section 2.1, one number at a time."""
    f, r = scores.numpy(), hidden.numpy()
    videos, snippets, classes = f.shape
    result = np.empty((videos, classes))
    for n in range(videos):
        for i in range(classes):
            of_class = [f[n, k, i] for k in range(snippets)]
            match consensus:
                case Average():
                    result[n, i] = sum(of_class) / snippets
                case Maximum():
                    result[n, i] = max(of_class)
                case TopK(count=count):
                    result[n, i] = sum(sorted(of_class, reverse=True)[:count]) / count
                case Weighted():
                    omega = consensus.weights.weight.detach().numpy()[0]
                    result[n, i] = sum(omega[k] * of_class[k] for k in range(snippets))
                case Attention():
                    omega = consensus.attention.weight.detach().numpy()[0]
                    e = [sum(omega[d] * r[n, k, d] for d in range(r.shape[2])) for k in range(snippets)]
                    total = sum(np.exp(energy) for energy in e)
                    result[n, i] = sum(np.exp(e[k]) / total * of_class[k] for k in range(snippets))
    return result


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_those_of_plain_arithmetic(kind: str) -> None:
    for top_k in (1, 2, 4, 5) if kind == "top_k" else (None,):
        consensus = made(kind, top_k=top_k)
        found = consensus(SCORES, HIDDEN)
        assert found.shape == (3, 4)
        np.testing.assert_allclose(found.detach().numpy(), by_numpy(consensus, SCORES, HIDDEN), rtol=1e-12)


def test_top_k_lies_between_max_and_average_and_meets_both() -> None:
    torch.testing.assert_close(TopK(1)(SCORES, HIDDEN), Maximum()(SCORES, HIDDEN), rtol=0, atol=0)
    torch.testing.assert_close(TopK(5)(SCORES, HIDDEN), Average()(SCORES, HIDDEN))
    # Each class has its own snippets: here the first two belong to one class and the last two to the other.
    scores = torch.tensor([[[4.0, 0], [2, 0], [0, 6], [0, 8]]])
    assert TopK(2)(scores, HIDDEN).tolist() == [[3, 7]]


def test_attention_has_the_printed_derivative() -> None:
    # Wang et al. 2019: ∂A_k/∂e_l is A_k (1 - A_l) for l = k, and -A_k A_l otherwise.
    attention = made("attention")
    with torch.no_grad():
        attention.attention.weight.copy_(torch.eye(1, 6))
    energies = HIDDEN[:1, :, 0].clone()

    def weights(e: Tensor) -> Tensor:
        return attention.attend(torch.cat([e[..., None], HIDDEN[:1, :, 1:]], 2))[0]

    found = torch.autograd.functional.jacobian(weights, energies)[:, 0].numpy()
    a = np.exp(energies[0].numpy()) / np.exp(energies[0].numpy()).sum()
    for k in range(5):
        for j in range(5):
            printed = a[k] * (1 - a[j]) if j == k else -a[k] * a[j]
            assert found[k, j] == pytest.approx(printed, rel=1e-12)
    assert attention.attend(HIDDEN).sum(1).tolist() == pytest.approx([1, 1, 1])


def test_gradient_of_the_consensus_by_a_snippets_scores() -> None:
    # Spec 2.1: what flows back to snippet k is ∂G/∂F(T_k): 1/K, ω_k, A_k, or all of it to the chosen ones.
    def gradient(consensus: Consensus) -> np.ndarray:
        scores = SCORES.clone().requires_grad_()
        consensus(scores, HIDDEN).sum().backward()
        assert scores.grad is not None
        return scores.grad.numpy()

    assert gradient(Average()) == pytest.approx(np.full((3, 5, 4), 1 / 5))
    largest = SCORES.numpy() == SCORES.numpy().max(1, keepdims=True)
    assert gradient(Maximum()) == pytest.approx(largest.astype(float))
    third = np.sort(SCORES.numpy(), 1)[:, -3:-2]
    assert gradient(TopK(3)) == pytest.approx((SCORES.numpy() >= third) / 3)
    weighted = made("weighted")
    omega = weighted.weights.weight.detach().numpy().reshape(1, 5, 1)
    assert gradient(weighted) == pytest.approx(np.broadcast_to(omega, (3, 5, 4)))
    attention = made("attention")
    shares = attention.attend(HIDDEN).detach().numpy()[..., None]
    assert gradient(attention) == pytest.approx(np.broadcast_to(shares, (3, 5, 4)))


def test_all_but_weighted_take_any_number_of_snippets() -> None:
    for kind in KINDS:
        consensus = made(kind, segments=3, top_k=2 if kind == "top_k" else None)
        if kind == "weighted":
            with pytest.raises(UsageError, match=r"takes 3 snippets, not 5 \(it has learned one weight for each of 3"):
                consensus(SCORES, HIDDEN)
            assert consensus(SCORES[:, :3], HIDDEN[:, :3]).shape == (3, 4)
        else:
            assert consensus(SCORES, HIDDEN).shape == (3, 4)
    with pytest.raises(UsageError, match=r"top-3 consensus needs at least 3 snippets \(got 2\)"):
        TopK(3)(SCORES[:, :2], HIDDEN[:, :2])


def test_options_that_do_not_fit_are_said() -> None:
    with pytest.raises(UsageError, match="there is no consensus 'none'; choose one of: average, max, top_k"):
        make_consensus("none", segments=3, units=6, top_k=None)
    with pytest.raises(UsageError, match="did you mean 'attention'"):
        make_consensus("atention", segments=3, units=6, top_k=None)
    with pytest.raises(UsageError, match="has to know how many scores"):
        make_consensus("top_k", segments=3, units=6, top_k=None)
    with pytest.raises(UsageError, match="top_k=4 is more than the 3 segments"):
        make_consensus("top_k", segments=3, units=6, top_k=4)
    with pytest.raises(UsageError, match="top_k=0 is not a whole number"):
        make_consensus("top_k", segments=3, units=6, top_k=0)
    with pytest.raises(UsageError, match="top_k=2 means nothing to consensus='max'"):
        make_consensus("max", segments=3, units=6, top_k=2)
    assert "count=2" in repr(TopK(2))
