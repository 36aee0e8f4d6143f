from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tubelet.errors import UsageError
from tubelet.models import create_model, model_info
from tubelet.models.contract import VideoModel

SIZE = 16  # units of fc6 at the width below
SMALL = {"width": SIZE / 4096, "side": 67, "clip_length": 4, "units": 12, "future_length": 3}


def composite(spread: float | None = 0.6, **options: Any) -> VideoModel:
    model = create_model("lstm_composite", 5, seed=1, **{**SMALL, **options})
    if spread is not None:
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(0, spread, generator=generator)
    return model


def sequences(clips: int, frames: int, seed: int = 0) -> Tensor:
    """Percepts that turn at a speed of their own: what came before and what comes next follow from a few frames."""
    generator = torch.Generator().manual_seed(seed)
    speed = 0.3 + 0.5 * torch.rand(clips, 1, 1, generator=generator)
    phase = 6.28 * torch.rand(clips, 1, 1, generator=generator)
    angle = phase + speed * torch.arange(frames).view(1, -1, 1) + torch.arange(SIZE).view(1, 1, -1)
    return 1 + angle.sin()


def step(w: dict[str, Tensor], name: str, x: Tensor, state: list[tuple[Tensor, Tensor]]) -> Tensor:
    """One step of a stack of LSTMs, gates by hand; the state is replaced in place."""
    for layer, (h, c) in enumerate(state):
        gates = x @ w[f"{name}.weight_ih_l{layer}"].T + w[f"{name}.bias_ih_l{layer}"]
        gates = gates + h @ w[f"{name}.weight_hh_l{layer}"].T + w[f"{name}.bias_hh_l{layer}"]
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        x = o.sigmoid() * c.tanh()
        state[layer] = (x, c)
    return x


def by_hand(
    model: VideoModel, percepts: Tensor, frames: tuple[int, int], targets: tuple[Tensor, Tensor] | None = None
) -> list[Tensor]:
    """Reconstruction and prediction; with targets each decoder reads the target before, else its own output."""
    w, options = model.state_dict(), model.options
    zeros = percepts.new_zeros(len(percepts), options["units"])
    state = [(zeros, zeros)] * options["layers"]
    for frame in percepts.unbind(1):
        step(w, "encoder_lstm", frame, state)
    results = []
    for which, decoder in enumerate(("reconstruction", "prediction")):
        own, outputs = list(state), []
        last = percepts.new_zeros(len(percepts), SIZE)
        for t in range(frames[which]):
            read = last if options["conditioned"] else percepts.new_ones(len(percepts), 1)
            hidden = step(w, f"{decoder}_lstm", read, own)
            outputs.append(hidden @ w[f"{decoder}_out.weight"].T + w[f"{decoder}_out.bias"])
            last = outputs[-1] if targets is None else targets[which][:, t]
        results.append(torch.stack(outputs, 1))
    return results


VARIANTS = [{}, {"conditioned": False}, {"layers": 2}, {"layers": 2, "conditioned": False}]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
@torch.no_grad()
def test_decoders_start_from_the_encoders_state_and_read_their_own_output(options: dict[str, Any]) -> None:
    model, percepts = composite(**options), sequences(2, 4)
    reconstruction, prediction = model.compose(percepts)
    assert reconstruction.shape == (2, 4, SIZE)
    assert prediction.shape == (2, 3, SIZE)
    expected = by_hand(model, percepts, (4, 3))
    torch.testing.assert_close(reconstruction, expected[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(prediction, expected[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
@torch.no_grad()
def test_the_loss_wants_the_input_backwards_and_the_future_forwards(options: dict[str, Any]) -> None:
    # In float64: decoders that have learned nothing are only a little further from the wrong order.
    model, everything = composite(**options).double(), sequences(3, 9).double()
    past, future = everything[:, :4], everything[:, 4:]

    def loss(*targets: Tensor) -> float:
        found = by_hand(model, past, (4, 5), (past.flip(1), future))
        return sum(
            ((output - target) ** 2).sum((1, 2)).mean().item() / 2 / target.shape[1]
            for output, target in zip(found, targets, strict=True)
        )

    found = model.composite_loss(past, future).item()
    assert found == pytest.approx(loss(past.flip(1), future), rel=1e-10)
    assert found != pytest.approx(loss(past, future), rel=1e-6)
    assert found != pytest.approx(loss(past.flip(1), future.flip(1)), rel=1e-6)


def test_each_loss_reaches_what_it_should_and_nothing_else() -> None:
    model, everything = composite(), sequences(2, 7)
    model.composite_loss(everything[:, :4], everything[:, 4:]).backward()
    taught = ("encoder_lstm.", "reconstruction_lstm.", "reconstruction_out.", "prediction_lstm.", "prediction_out.")
    reached = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert reached == {name for name, _ in model.named_parameters() if name.startswith(taught)}
    for name in reached:
        gradient = model.get_parameter(name).grad
        assert gradient is not None
        assert gradient.isfinite().all(), name
        assert gradient.abs().sum() > 0, name


@pytest.mark.parametrize("decoder", [0, 1])
def test_each_decoder_teaches_the_encoder_and_not_the_other(decoder: int) -> None:
    model = composite()
    model.compose(sequences(2, 4))[decoder].sum().backward()
    mine, other = ("reconstruction", "prediction")[:: 1 - 2 * decoder]
    for name, parameter in model.named_parameters():
        if name.startswith(("encoder", mine)):
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name
        if name.startswith((other, "classifier")):
            assert parameter.grad is None, name


@pytest.mark.parametrize("conditioned", [True, False])
def test_training_lowers_the_loss_until_the_past_comes_back_backwards(conditioned: bool) -> None:
    model = composite(spread=0.2, units=32, conditioned=conditioned)
    train, held_out = sequences(64, 7), sequences(32, 7, seed=1)

    def errors() -> tuple[float, float, float]:
        with torch.no_grad():
            reconstruction, prediction = model.compose(held_out[:, :4])
            backwards = (reconstruction - held_out[:, :4].flip(1)).square().mean()
            forwards = (reconstruction - held_out[:, :4]).square().mean()
            return backwards.item(), forwards.item(), (prediction - held_out[:, 4:]).square().mean().item()

    parameters = [p for name, p in model.named_parameters() if name.startswith(("encoder", "reconstr", "predict"))]
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    before, losses = errors(), []
    for _ in range(80):
        optimizer.zero_grad()
        loss = model.composite_loss(train[:, :4], train[:, 4:])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    after = errors()
    assert losses[-1] < 0.25 * losses[0]
    # On sequences it has not seen, decoding on its own: better than before, and in the order it was taught.
    assert after[0] < 0.5 * before[0]
    assert after[2] < 0.5 * before[2]
    assert after[0] < 0.5 * after[1]


def test_the_classifier_takes_over_what_the_encoder_learned() -> None:
    model = composite(layers=2)
    percepts, before = sequences(2, 4), model.weights_id
    encoded, _ = model.encoder_lstm(percepts)
    assert not torch.allclose(model.classifier_lstm(percepts)[0], encoded)
    model.copy_encoder()
    assert torch.equal(model.classifier_lstm(percepts)[0], encoded)
    assert model.weights_id != before
    # They are copies: training one does not move the other.
    with torch.no_grad():
        model.classifier_lstm.weight_hh_l1.add_(1)
    assert torch.equal(model.encoder_lstm(percepts)[0], encoded)
    assert not torch.allclose(model.classifier_lstm(percepts)[0], encoded)


def test_classifying_does_not_touch_encoder_and_decoders() -> None:
    model = composite()
    x = torch.randn(2, 3, 4, 67, 67, generator=torch.Generator().manual_seed(0))
    nn.functional.cross_entropy(model(x), torch.tensor([0, 1])).backward()
    for name, parameter in model.named_parameters():
        untouched = name.startswith(("encoder", "reconstruction", "prediction"))
        assert (parameter.grad is None) == untouched, name
    labels = torch.tensor([2, 3])
    each = nn.functional.cross_entropy(model.frame_logits(x).flatten(0, 1), labels.repeat_interleave(4))
    torch.testing.assert_close(model.frame_loss(x, labels), each)


@torch.no_grad()
def test_percepts_are_fc6_for_any_number_of_frames() -> None:
    model = composite(spread=0.1).eval()
    x = torch.randn(2, 3, 9, 67, 67, generator=torch.Generator().manual_seed(0))
    found = model.percepts(x)
    assert found.shape == (2, 9, SIZE)
    expected = model.features(x[:, :, 3:7], ("fc6",))["fc6"].flatten(2).transpose(1, 2)
    torch.testing.assert_close(found[:, 3:7], expected, rtol=1e-4, atol=1e-6)
    assert found.min() >= 0
    assert found.max() > 0


def test_starting_weights_are_those_of_the_released_configurations() -> None:
    model = create_model("lstm_composite", 101, width=0.0625, side=67, units=64)
    for name in ("encoder", "reconstruction", "prediction", "classifier"):
        for key, parameter in model.get_submodule(f"{name}_lstm").named_parameters():
            limit = 0.0 if key.startswith("bias") else 0.01 if key.startswith("weight_hh") else 0.001
            assert 0.98 * limit <= parameter.abs().max() <= limit, (name, key)
    for name in ("reconstruction_out", "prediction_out"):
        assert 0.0098 < model.get_submodule(name).weight.abs().max() <= 0.01
        assert (model.get_submodule(name).bias == 0).all()
    assert model.classifier_out.weight.std().item() == pytest.approx(0.001, rel=0.03)
    assert (model.classifier_out.bias == 0).all()


def test_decoders_without_conditioning_have_no_input_but_a_constant() -> None:
    conditioned, free = (model_info("lstm_composite", conditioned=c).parameters for c in (True, False))
    # Two decoders lose matrices of 4 x 2048 gates by 4096 values and gain 4 x 2048 weights of the constant.
    assert conditioned - free == 2 * 4 * 2048 * (4096 - 1)


def test_wrong_percepts_and_options_are_said() -> None:
    model = composite()
    good = sequences(2, 4)
    for wrong in (good[:, :, 1:], good[0], good[:, :0]):
        with pytest.raises(UsageError, match=r"has the shape .*\(clips, frames, 16\)"):
            model.compose(wrong)
        with pytest.raises(UsageError, match="percepts_future has the shape"):
            model.composite_loss(good, wrong)
    with pytest.raises(UsageError, match=r"different clips.*got 2 and 1"):
        model.composite_loss(good, good[:1])
    with pytest.raises(UsageError, match="conditioned='no' is neither"):
        create_model("lstm_composite", 5, conditioned="no")
    with pytest.raises(UsageError, match="future_length=0"):
        create_model("lstm_composite", 5, future_length=0)
    with pytest.raises(UsageError, match=r"units=1\.5"):
        create_model("lstm_composite", 5, units=1.5)


def test_it_says_that_it_is_a_reconstruction() -> None:
    source = composite().source
    assert source.reconstruction
    assert len(source.choices) >= 5
