"""bf16 is used only where its gradients were proved, and refused by name where they are wrong."""

from __future__ import annotations

import pytest
import torch

from tubelet.errors import NumericalError
from tubelet.models.registry import create_model
from tubelet.training import precision
from tubelet.training.precision import choose_precision, has_fast_bfloat16


def test_what_the_processor_has() -> None:
    flags = ""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            flags = file.read()
    except OSError:
        pytest.skip("this system has no /proc/cpuinfo to compare with")
    assert has_fast_bfloat16() == ("avx512_bf16" in flags or "amx_tile" in flags)


def test_small_net_in_float32_is_proved() -> None:
    model = create_model("c3d_small", 2, seed=0, width=0.125, side=16)
    chosen = choose_precision(model, "float32")
    assert chosen.name == "float32"
    assert chosen.memory_format == torch.channels_last_3d
    assert "float64" in chosen.reason


def test_wrong_gradients_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Verdict:
        def __init__(self, ok: bool) -> None:
            self.ok = ok
            self.sentence = "planted"

    asked: list[tuple[str, str]] = []

    def planted(model: object, *, dtype: str, memory_format: str) -> Verdict:
        asked.append((dtype, memory_format))
        return Verdict(dtype == "float32" and memory_format == "contiguous")

    monkeypatch.setattr(precision, "check_gradients", planted)
    monkeypatch.setattr(precision, "has_fast_bfloat16", lambda device="cpu": True)
    model = create_model("c3d_small", 2, seed=0, width=0.125, side=16)
    chosen = choose_precision(model, "auto")
    assert (chosen.name, chosen.memory_format) == ("float32", torch.contiguous_format)
    assert asked == [("bfloat16", "channels_last_3d"), ("float32", "channels_last_3d"), ("float32", "contiguous")]
    with pytest.raises(NumericalError, match="planted"):
        choose_precision(model, "bfloat16")


def test_nothing_right_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong:
        ok = False
        sentence = "all wrong"

    monkeypatch.setattr(precision, "check_gradients", lambda *args, **kwargs: Wrong())
    with pytest.raises(NumericalError, match="all wrong"):
        choose_precision(create_model("c3d_small", 2, seed=0, width=0.125, side=16), "float32")
