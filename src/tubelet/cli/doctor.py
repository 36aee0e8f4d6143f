"""``tubelet doctor``: what is installed, what the machine can do, and a golden clip run through every stage."""

from __future__ import annotations

import importlib.util
import os
import platform
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tubelet.cli.options import JsonOption, print_json
from tubelet.errors import ExitCode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_EXTRAS = {
    "flow": "cv2",
    "idt": "cv2",
    "serve": "fastapi",
    "map": "openTSNE",
    "ray": "ray",
    "hf": "transformers",
    "openvino": "openvino",
    "onnx": "onnxruntime",
    "torchcodec": "torchcodec",
}


@dataclass(frozen=True)
class Check:
    """One test of the golden clip: its name, verdict, and what was measured."""

    name: str
    ok: bool
    detail: str


def doctor(as_json: JsonOption = False) -> None:
    """Say what is installed and what this machine can do, and run a golden clip through. Paste it into an issue."""
    facts = {"installed": _installed(), "machine": _machine()}
    checks = _golden_clip()
    healthy = all(check.ok for check in checks)
    if as_json:
        print_json({**facts, "checks": [asdict(check) for check in checks], "healthy": healthy})
    else:
        _print(facts, checks)
    if not healthy:
        raise typer.Exit(ExitCode.UNEXPECTED)


def _installed() -> dict[str, str]:
    import av

    from tubelet.provenance import package_versions, tool_version

    versions = {"tubelet": tool_version(), "python": platform.python_version()}
    versions |= {name: version or "missing" for name, version in package_versions().items()}
    for library in ("libavcodec", "libavformat", "libswscale"):
        versions[f"FFmpeg {library}"] = ".".join(map(str, av.library_versions[library]))
    installed = [extra for extra, module in _EXTRAS.items() if importlib.util.find_spec(module) is not None]
    versions["extras"] = ", ".join(installed) or "none"
    versions["optical flow"] = _optical_flow()
    return versions


def _optical_flow() -> str:
    from tubelet.errors import MissingExtraError
    from tubelet.flow.opencv import opencv

    try:
        cv2 = opencv()
    except MissingExtraError as error:
        return str(error)
    if not hasattr(cv2, "optflow"):
        return f"OpenCV {cv2.__version__} without TV-L1: pip install 'tubelet[flow]' brings the wheel that has it"
    return f"OpenCV {cv2.__version__}: DIS, TV-L1, Farneback"


def _machine() -> dict[str, str]:
    import torch

    from tubelet.allocator import set_allocator
    from tubelet.training.precision import has_fast_bfloat16

    facts = {
        "platform": platform.platform(),
        "processors": f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} usable",
        "torch threads": str(torch.get_num_threads()),
        "bf16 in hardware": "yes" if has_fast_bfloat16() else "no (bf16 would be emulated; float32 is used)",
        "allocator": "keeps freed memory (glibc mallopt)" if set_allocator() else "as the system has it",
        "GPU": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none (the CPU is used)",
    }
    if hasattr(os, "sysconf"):
        facts["memory"] = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"
    return facts


def _golden_clip() -> list[Check]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "golden.mp4"
        checks: list[Check] = []
        for name, test in (
            ("encode and decode", _check_decoding),
            ("color order", _check_colors),
            ("exact frames", _check_exactness),
            ("decoding in a child", _check_child),
            ("resize", _check_resize),
            ("network against float64", _check_network),
            ("fast convolution against float64", _check_convolution),
            ("training gradients", _check_gradients),
            ("descriptor table", _check_table),
        ):
            checks.append(_run(name, test, path))
            if not path.exists():
                break
        return checks


def _run(name: str, test: Callable[[Path], tuple[bool, str]], path: Path) -> Check:
    # A doctor that dies on the first illness is of no use: any exception is a finding.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the test's network is untrained is its purpose
            ok, detail = test(path)
    except Exception as error:
        return Check(name, False, f"{type(error).__name__}: {error}")
    return Check(name, ok, detail)


_N_FRAMES, _SIDE = 48, 64


def _golden_frames() -> NDArray[np.uint8]:
    """(48, 64, 64, 3) uint8 RGB: red, green, blue and white quarters under a white bar that moves right."""
    import numpy as np

    frames = np.zeros((_N_FRAMES, _SIDE, _SIDE, 3), np.uint8)
    half = _SIDE // 2
    frames[:, :half, :half, 0] = 255
    frames[:, :half, half:, 1] = 255
    frames[:, half:, :half, 2] = 255
    frames[:, half:, half:] = 255
    for index in range(_N_FRAMES):
        frames[index, half - 4 : half + 4, index : index + 16] = 255
    return frames


def _check_decoding(path: Path) -> tuple[bool, str]:
    from tubelet.video.encode import encode
    from tubelet.video.reader import Video

    encode(path, _golden_frames(), fps=25, codec="libx264", options={"crf": "12", "bf": "2"})
    report = Video(path, cache=False).check()
    good = report.status == "ok" and report.frames_decoded == _N_FRAMES and report.fps == 25
    return good, f"{report.frames_decoded} of {_N_FRAMES} frames, {report.fps:g} frames/s, {report.status}"


def _check_colors(path: Path) -> tuple[bool, str]:
    import numpy as np

    from tubelet.video.reader import Video

    frame = Video(path, cache=False).frames([0])[0].astype(int)
    corners = np.array([frame[8, 56], frame[56, 8], frame[8, 8]])  # green, blue, red, away from the bar
    off = int(np.abs(corners - np.array([[0, 255, 0], [0, 0, 255], [255, 0, 0]])).max())
    return off <= 24, f"red, green and blue are within {off} of 255 gray levels (limit 24)"


def _check_exactness(path: Path) -> tuple[bool, str]:
    import numpy as np

    from tubelet.video.reader import Video

    with Video(path, cache=False) as video:
        sequence = np.stack([frame.image for frame in video.iter_frames()])
        wanted = [40, 3, 17, 17, 47, 0]
        same = bool((video.frames(wanted) == sequence[wanted]).all())
    return (
        same,
        "frames asked for out of order equal those of a pass from the start" if same else "frames differ",
    )


def _check_child(path: Path) -> tuple[bool, str]:
    from tubelet.clips.decode import ClipDecoder
    from tubelet.video.reader import Video

    with ClipDecoder(workers=1) as decoder:
        frames, report = decoder.whole(path, None)
    same = bool((frames == Video(path, cache=False).frames(range(_N_FRAMES))).all())
    return (
        same and report.status == "ok",
        "the child's frames equal the parent's" if same else "frames differ",
    )


def _check_resize(path: Path) -> tuple[bool, str]:
    import numpy as np

    from tubelet.clips.transforms import resize

    # A linear ramp stays a linear ramp under bilinear interpolation; away from the borders its value is exact.
    ramp = np.broadcast_to(np.arange(128, dtype=np.uint8)[None, :, None] * 2, (1, 128, 128, 3))
    out = resize(np.ascontiguousarray(ramp), (64, 64)).astype(float)
    exact = ((np.arange(64) + 0.5) * 2 - 0.5) * 2
    off = float(np.abs(out[0, 32, 1:-1, 0] - exact[1:-1]).max())
    return off <= 1.0, f"within {off:.2f} gray levels of the exact ramp (limit 1)"


def _check_network(path: Path) -> tuple[bool, str]:
    import torch

    from tubelet.clips.recipes import get_recipe
    from tubelet.clips.transforms import resize, to_input
    from tubelet.descriptors.extractor import Extractor
    from tubelet.models.registry import create_model
    from tubelet.video.reader import Video

    model = create_model("c3d_small", num_classes=10, seed=0).eval()
    described = Extractor(model, layers=("fc6",)).describe(path)
    recipe = get_recipe(model.input.recipe)
    frames = torch.from_numpy(resize(Video(path, cache=False).frames(range(8, 24)), recipe.size))
    exact = create_model("c3d_small", num_classes=10, seed=0).eval().double()
    with torch.inference_mode():
        wanted = exact.features(to_input(frames, recipe).double()[None], ("fc6",))["fc6"][0]
    ours = torch.from_numpy(described.vectors["fc6"][1]).double()
    error = float((ours - wanted).norm() / wanted.norm())
    return error < 1e-4, f"fc6 of clip 1 is within {error:.1e} of float64 (limit 1e-4)"


def _check_convolution(path: Path) -> tuple[bool, str]:
    import copy

    import torch
    from torch import nn

    from tubelet.models.winograd import use_winograd

    # What the extractor makes of full-size networks' layers; those of the network above are too small for it.
    plain = nn.Sequential(nn.Conv3d(64, 64, 3, padding=1))
    clips = torch.randn(2, 64, 4, 28, 28, generator=torch.Generator().manual_seed(0))
    fast = copy.deepcopy(plain)
    replaced = use_winograd(fast)
    with torch.inference_mode():
        exact = plain.double()(clips.double())
        error = float((fast(clips).double() - exact).norm() / exact.norm())
    return error < 1e-4, f"{'Winograd' if replaced else 'direct'}, within {error:.1e} of float64 (limit 1e-4)"


def _check_gradients(path: Path) -> tuple[bool, str]:
    from tubelet.models.registry import create_model
    from tubelet.training.precision import choose_precision

    precision = choose_precision(create_model("c3d_small", num_classes=10, seed=0), "auto")
    return True, f"{precision.name}: {precision.reason}"


def _check_table(path: Path) -> tuple[bool, str]:
    from tubelet.descriptors.extractor import Extractor
    from tubelet.descriptors.runner import extract
    from tubelet.models.registry import create_model

    model = create_model("c3d_small", num_classes=10, seed=0)
    summary = extract([path], Extractor(model, layers=("fc6",)), path.parent / "table.lance")
    return summary.rows == 5, f"{summary.rows} rows written (48 frames, clips of 16, stride 8: 5)"


def _print(facts: dict[str, dict[str, str]], checks: list[Check]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for title, values in facts.items():
        table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
        table.add_column(style="dim", no_wrap=True)
        table.add_column()
        for key, value in values.items():
            table.add_row(key, value)
        console.print(table)
        console.print()
    table = Table(title="golden clip", title_justify="left", show_header=False, box=None, pad_edge=False)
    for check in checks:
        mark = "[green]ok[/]" if check.ok else "[bold red]FAILED[/]"
        table.add_row(mark, check.name, check.detail)
    console.print(table)
    failed = [check.name for check in checks if not check.ok]
    console.print(f"\n{len(failed)} checks failed: {', '.join(failed)}" if failed else "\nAll checks passed.")
