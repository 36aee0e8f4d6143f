"""Proof that a network's gradients are right in the arithmetic and memory layout that training will use.

torch's CPU kernels are wrong for some layer shapes without saying so (see `tubelet.models.layers.Conv3d`),
and some of them crash. So each distinct layer is run in a child process, at its real input shape, in memory
that was filled with NaN and huge numbers before, and compared with float64.
"""

from __future__ import annotations

import json
import math
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal

import torch
from torch import nn

from tubelet.artifacts import cache_folder, write_json
from tubelet.errors import NumericalError, TubeletError, UsageError
from tubelet.models.contract import VideoModel
from tubelet.models.counts import LayerUse, layer_uses
from tubelet.provenance import hash_json, tool_version
from tubelet.reporting.text import times

DtypeName = Literal["bfloat16", "float32"]
FormatName = Literal["contiguous", "channels_last_3d"]

# Norm of the difference over the norm. bfloat16 rounds inputs and outputs to 8 bits (3e-3 in practice);
# float32 sums up to millions of products. A single value may be off by five times as much of the root mean
# square.
TOLERANCE: dict[str, float] = {"bfloat16": 2e-2, "float32": 1e-4}
_LARGEST = 5.0

_OUT_OF_TIME = getattr(signal, "SIGXCPU", 0)  # what ends a process that used up its processor time

_CHECK_VERSION = 1  # part of the cache's key: raise it when the check or the layers' rule changes
# One that wrote outside its memory may run forever. What a layer may take is counted in processor time, for each of
# its threads: on a machine that is busy with something else a right layer takes any time on the clock.
_LAYER_CPU_S = 120
# Longest silence of the child on the clock, at its start and in a layer: for one that waits without computing.
_START_S, _LAYER_S = 900.0, 900.0


@dataclass(frozen=True)
class LayerCheck:
    """What was found for one distinct layer shape.

    Attributes
    ----------
    names
        All layers of the network that have this shape.
    shape
        Input shape and kernel in words.
    method
        What it was compared with.
    errors
        ``forward``, ``weight``, ``bias``, ``input`` → relative error of the output and of the three
        gradients; infinite where a value was not finite. Empty if the process died.
    problem
        Why it failed, None if it passed.
    """

    names: tuple[str, ...]
    shape: str
    method: str
    errors: dict[str, float]
    problem: str | None


@dataclass(frozen=True)
class PrecisionReport:
    """Result of `check_gradients`; ``cached`` if it was found on disk."""

    dtype: str
    memory_format: str
    threads: int
    layers: tuple[LayerCheck, ...]
    cached: bool = field(default=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether every layer passed."""
        return all(layer.problem is None for layer in self.layers)

    @property
    def problems(self) -> list[str]:
        """One line for each layer shape that failed."""
        return [f"{', '.join(x.names)} ({x.shape}): {x.problem}" for x in self.layers if x.problem]

    @property
    def sentence(self) -> str:
        """The outcome in one sentence, for logs and reports."""
        what = f"{self.dtype} {self.memory_format}"
        if not self.ok:
            return f"{what} disagrees with float64 in {'; '.join(self.problems)}"
        worst = max((error for layer in self.layers for error in layer.errors.values()), default=0.0)
        return f"{what} agrees with float64 to {worst:.1e} in all {len(self.layers)} layer shapes"

    def require(self) -> None:
        """Raise `NumericalError` unless every layer passed."""
        if not self.ok:
            raise NumericalError(
                f"gradients in {self.dtype}, {self.memory_format}, are wrong on this machine",
                why="; ".join(self.problems),
                remedy="train in float32",
            )


def check_gradients(
    model: nn.Module,
    batch: int = 2,
    dtype: DtypeName = "bfloat16",
    memory_format: FormatName = "channels_last_3d",
    *,
    input_shape: tuple[int, int, int, int] | None = None,
    cache: bool = True,
) -> PrecisionReport:
    """Compare a network's layers with float64: output, weight, bias and input gradients.

    Each distinct shape of ``Conv3d`` and ``Linear`` is checked once, with random weights: the network's own
    are not needed. A layer that would take more than 2.5 · 10⁹ multiply-adds in float64 is compared with
    float64 on fewer rows and columns (frames, channels and kernel as they are), and with plain float32 at
    its real size. A report in which all layers passed is kept in the user's cache folder, under a key of
    torch version, processor, threads, type, layout and layer shapes.

    Parameters
    ----------
    model
        On the CPU; it is not changed.
    batch
        Clips per pass; at least 2, since PyTorch computes a lone clip by other kernels.
    dtype
        ``"bfloat16"``: autocast over float32 weights, as training uses it; or ``"float32"``.
    memory_format
        Layout of clips and weights.
    input_shape
        (C, T, H, W) of one clip; default: the model's ``input``.
    cache
        Whether to look for a kept report and to keep this one.

    Raises
    ------
    UsageError
        For an unknown type or layout, or a batch below 2.
    """
    if dtype not in TOLERANCE or memory_format not in ("contiguous", "channels_last_3d"):
        raise UsageError(f"there is no gradient check for {dtype!r} in {memory_format!r}")
    if batch < 2:
        raise UsageError(f"batch={batch} is too small", remedy="check with at least 2 clips")
    if input_shape is None:
        if not isinstance(model, VideoModel):
            raise UsageError("input_shape is needed for a module that does not say what it takes")
        input_shape = model.input.shape
    # An LSTM computes in float32 whatever the type asked for (`tubelet.models.layers.Lstm`).
    groups = _distinct([use for use in layer_uses(model, (batch, *input_shape)) if use.kind != "lstm"])
    request = {
        "layers": [_description(uses[0]) for uses in groups],
        "dtype": dtype,
        "memory_format": memory_format,
        "threads": torch.get_num_threads(),
    }
    place = cache_folder() / "precision" / f"{hash_json({'request': request, 'machine': _machine()})}.json"
    outcomes = _kept(place, len(groups)) if cache else None
    cached = outcomes is not None
    if outcomes is None:
        outcomes = _run(request)
    layers = [_judge(uses, outcome, dtype) for uses, outcome in zip(groups, outcomes, strict=True)]
    report = PrecisionReport(dtype, memory_format, torch.get_num_threads(), tuple(layers), cached)
    if cache and not cached and report.ok:
        _keep(place, {"outcomes": outcomes, "machine": _machine(), "report": asdict(report)})
    return report


def _distinct(uses: Sequence[LayerUse]) -> list[list[LayerUse]]:
    groups: dict[str, list[LayerUse]] = {}
    for use in uses:
        groups.setdefault(hash_json(_description(use)), []).append(use)
    return list(groups.values())


def _description(use: LayerUse) -> dict[str, Any]:
    return {"kind": use.kind, "input_shape": list(use.input_shape), "settings": use.settings}


def _machine() -> dict[str, Any]:
    return {
        "check": _CHECK_VERSION,
        "tubelet": tool_version(),
        "torch": torch.__version__,
        "processor": _processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "libc": platform.libc_ver(),
    }


def _processor() -> str:
    """Model and instruction sets, by which oneDNN chooses its kernels."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    facts = [line for line in lines if line.startswith(("model", "cpu family", "flags", "Features", "CPU "))]
    return hash_json([platform.machine(), sorted(facts)])


def _run(request: dict[str, Any]) -> list[dict[str, Any]]:
    """One outcome per layer; where a layer kills the child, another child goes on behind it."""
    outcomes: list[dict[str, Any]] = []
    while len(outcomes) < len(request["layers"]):
        rest = {**request, "layers": request["layers"][len(outcomes) :]}
        messages, death = _child(rest)
        outcomes += [message for message in messages if "ends" in message]
        if death is not None:
            if not any("begins" in message for message in messages):
                raise TubeletError(
                    "the gradient check does not start",
                    why=death,
                    remedy="run tubelet doctor, and try again when the machine is less busy",
                )
            if len(outcomes) < len(request["layers"]):
                outcomes.append({"death": death})
    return outcomes


def _child(request: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    package = str(Path(__file__).resolve().parents[2])
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH")))),
        # glibc: take large blocks from the heap, where the poison is, and fill what is handed out (0x7F).
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
        "MALLOC_PERTURB_": "128",
    }
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints:
        child = subprocess.Popen(
            [sys.executable, "-m", "tubelet.models.precision_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env=environment,
        )
        with child:
            limit = math.ceil(_LAYER_CPU_S * request["threads"])
            lines, late = _listen(child, json.dumps({**request, "layer_cpu_s": limit}))
        complaints.seek(0)
        last = (complaints.read().strip().splitlines() or [""])[-1]
    messages = _messages(lines)
    if late or child.returncode == -_OUT_OF_TIME:
        return messages, "it took too long"
    if child.returncode == 0:
        return messages, None
    death = f"signal {-child.returncode}" if child.returncode < 0 else f"exit code {child.returncode}"
    return messages, f"the process died ({death}{': ' + last if last else ''})"


def _listen(child: subprocess.Popen[str], request: str) -> tuple[list[str], bool]:
    """Lines that the child printed, and whether it was killed because the next one did not come in time."""
    assert child.stdin is not None
    assert child.stdout is not None
    output, queue = child.stdout, SimpleQueue[str | None]()

    def read() -> None:
        for line in output:
            queue.put(line)
        queue.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    with suppress(BrokenPipeError):  # it died before it read: its exit code says more
        child.stdin.write(request)
        child.stdin.close()
    lines: list[str] = []
    late, limit = False, _START_S
    try:
        while (line := queue.get(timeout=limit)) is not None:
            lines.append(line)
            limit = _LAYER_S
    except Empty:
        late = True
    finally:
        if late or sys.exc_info()[0] is not None:  # also at an interrupt: nothing runs on unseen
            child.kill()
        reader.join()
    return lines, late


def _messages(lines: Sequence[str]) -> list[dict[str, Any]]:
    # A process that dies may leave half a line.
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}\n")]


def _judge(uses: Sequence[LayerUse], outcome: dict[str, Any], dtype: DtypeName) -> LayerCheck:
    names, shape = tuple(use.name for use in uses), _words(uses[0])
    if "death" in outcome:
        return LayerCheck(names, shape, "", {}, outcome["death"])
    tolerance, problems, errors = TOLERANCE[dtype], [], {}
    for part, found in outcome["errors"].items():
        errors[part] = math.inf if found["relative"] < 0 else found["relative"]
        largest = math.inf if found["largest"] < 0 else found["largest"]
        if errors[part] > tolerance or largest > _LARGEST * tolerance:
            name = "output" if part == "forward" else f"{part} gradient"
            problems.append(f"{name} off by {errors[part]:.1e}, at most {largest:.1e}")
    return LayerCheck(names, shape, outcome["method"], errors, "; ".join(problems) or None)


def _words(use: LayerUse) -> str:
    sizes = times(use.input_shape[1:])
    if use.kind == "linear":
        return f"{sizes} to {use.settings['out_features']}"
    return f"{times(use.settings['kernel_size'])} to {use.settings['out_channels']} on {sizes}"


def _kept(place: Path, count: int) -> list[dict[str, Any]] | None:
    try:
        outcomes = json.loads(place.read_text(encoding="utf-8"))["outcomes"]
        sound = len(outcomes) == count and all({"errors", "method"} <= set(outcome) for outcome in outcomes)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return outcomes if sound else None


def _keep(place: Path, value: dict[str, Any]) -> None:
    try:
        write_json(place, value)
    except OSError:  # a read-only home costs time at the next run, nothing else
        return
