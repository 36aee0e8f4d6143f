"""Which arithmetic a run uses, and the proof that its gradients are right.

Some bf16 kernels on the CPU return garbage weight gradients without any error (a temporal kernel deeper than the
clip is long), and the loss of the first step looks normal. So a reduced precision or another memory layout is used
only after its gradients, at the network's real layer shapes and in poisoned memory, agreed with float64.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from tubelet.errors import NumericalError
from tubelet.models.contract import VideoModel
from tubelet.models.precision import check_gradients

_log = logging.getLogger(__name__)

PrecisionName = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Precision:
    """The arithmetic of a run.

    Attributes
    ----------
    name
        ``"float32"`` or ``"bfloat16"`` (autocast; weights and optimizer stay fp32).
    memory_format
        ``torch.channels_last_3d`` where proved right, else contiguous.
    reason
        One sentence for the log and the report.
    """

    name: Literal["float32", "bfloat16"]
    memory_format: torch.memory_format
    reason: str

    def autocast(self, device: str) -> AbstractContextManager[object]:
        """The context to run the forward pass in."""
        if self.name == "float32":
            return nullcontext()
        return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)


def has_fast_bfloat16(device: str = "cpu") -> bool:
    """True where bf16 is computed by the hardware and not emulated."""
    if torch.device(device).type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    supported: bool = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return supported


def choose_precision(model: VideoModel, wanted: PrecisionName, device: str = "cpu") -> Precision:
    """Settle the arithmetic for training ``model`` on ``device``.

    ``"auto"`` takes bf16 where the hardware has it and the check passes, else fp32. ``"bfloat16"`` insists.
    On a GPU cuDNN's layouts and bf16 are used as they are; the check is about CPU kernels.

    Raises
    ------
    NumericalError
        If bf16 was asked for by name and its gradients are not right here, or if fp32 itself is not.
    """
    layout = torch.channels_last_3d
    if torch.device(device).type == "cuda":
        bf16 = wanted == "bfloat16" or (wanted == "auto" and has_fast_bfloat16(device))
        return Precision("bfloat16" if bf16 else "float32", layout, f"{wanted} on the GPU")
    if wanted == "bfloat16" or (wanted == "auto" and has_fast_bfloat16()):
        report = check_gradients(model, dtype="bfloat16", memory_format="channels_last_3d")
        if report.ok:
            return Precision("bfloat16", layout, report.sentence)
        if wanted == "bfloat16":
            raise NumericalError(
                "bf16 gradients of this network are wrong on this processor",
                why=report.sentence,
                remedy="use --precision float32",
            )
        _log.warning("bf16 is not used: %s", report.sentence)
    report = check_gradients(model, dtype="float32", memory_format="channels_last_3d")
    if report.ok:
        return Precision("float32", layout, report.sentence)
    _log.warning("channels_last_3d is not used: %s", report.sentence)
    report = check_gradients(model, dtype="float32", memory_format="contiguous")
    if not report.ok:
        raise NumericalError(
            "fp32 gradients of this network are wrong on this processor",
            why=report.sentence,
            remedy="install the torch version of constraints.txt, or train on a GPU",
        )
    return Precision("float32", torch.contiguous_format, report.sentence)
