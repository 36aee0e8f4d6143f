from __future__ import annotations

import numpy as np
import pytest
import torch

from tubelet.errors import UsageError
from tubelet.models.frame_votes import VOTES, checked_votes, combined_logits, frame_loss, frame_weights

WEIGHTS = {"average": [0.25] * 4, "last": [0, 0, 0, 1], "linear": [0, 1 / 6, 2 / 6, 3 / 6]}


def logits(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return (3 * torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).to(dtype)


def probabilities() -> np.ndarray:
    odds = np.exp(logits().numpy())
    return odds / odds.sum(2, keepdims=True)


@pytest.mark.parametrize("votes", sorted(WEIGHTS))
def test_the_softmax_of_the_combined_logits_is_the_weighted_mean_of_the_frames(votes: str) -> None:
    expected = np.einsum("ntk,t->nk", probabilities(), np.array(WEIGHTS[votes]))
    found = combined_logits(logits(), votes)
    np.testing.assert_allclose(found.softmax(1).numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(found.exp().numpy(), expected, rtol=1e-12)
    # It is not the softmax of averaged logits.
    assert not np.allclose(logits().mean(1).softmax(1).numpy(), expected, rtol=1e-3)


def test_max_takes_each_classs_best_frame() -> None:
    best = probabilities().max(1)
    found = combined_logits(logits(), "max")
    np.testing.assert_allclose(found.exp().numpy(), best, rtol=1e-12)
    np.testing.assert_allclose(found.softmax(1).numpy(), best / best.sum(1, keepdims=True), rtol=1e-12)


@pytest.mark.parametrize("votes", VOTES)
def test_one_frame_is_its_own_prediction(votes: str) -> None:
    one = logits()[:, :1]
    torch.testing.assert_close(combined_logits(one, votes), one[:, 0].log_softmax(1))
    assert frame_weights(1, votes, torch.device("cpu"), torch.float64).tolist() == [1.0]


@pytest.mark.parametrize("votes", sorted(WEIGHTS))
def test_the_loss_weighs_the_frames_cross_entropies(votes: str) -> None:
    labels = torch.tensor([3, 0])
    each = -np.log(probabilities()[np.arange(2)[:, None], np.arange(4), labels.numpy()[:, None]])
    expected = (each * np.array(WEIGHTS[votes])).sum(1).mean()
    assert frame_loss(logits(), labels, votes).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("votes", VOTES)
def test_gradients_are_finite_and_go_where_the_weights_are(votes: str) -> None:
    labels = torch.tensor([3, 0])
    for function in (lambda x: combined_logits(x, votes)[:, 1].sum(), lambda x: frame_loss(x, labels, votes)):
        x = logits().requires_grad_()
        function(x).backward()
        assert x.grad is not None
        assert x.grad.isfinite().all()
        if votes in WEIGHTS:
            reached = (x.grad.abs().sum((0, 2)) > 0).tolist()
            assert reached == [weight > 0 for weight in WEIGHTS[votes]]


def test_far_logits_stay_finite_and_bfloat16_is_combined_in_float32() -> None:
    x = torch.tensor([[[0.0, 500.0], [0.0, 400.0]]])
    found = combined_logits(x, "average")
    torch.testing.assert_close(found, torch.tensor([[-400 - float(np.log(2)), 0.0]]))
    assert combined_logits(x.bfloat16(), "linear").dtype == torch.float32


def test_unknown_votes_are_said() -> None:
    assert checked_votes("votes", "max") == "max"
    with pytest.raises(UsageError, match=r"votes='averag' is unknown.*did you mean 'average'"):
        checked_votes("votes", "averag")
    with pytest.raises(UsageError, match="votes=3 is unknown"):
        checked_votes("votes", 3)
