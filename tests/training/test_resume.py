"""A run that is killed ends with the same bits as the run that was left alone."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from tubelet.flow.record import FlowSettings
from tubelet.training.checkpoint import latest_checkpoint
from tubelet.training.precision import has_fast_bfloat16
from tubelet.video.encode import encode

sys.path.insert(0, str(Path(__file__).parents[1] / "flow"))
from made_flow import stored, texture

SCRIPT = Path(__file__).with_name("resume_run.py")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Videos of noise, by frames; and textures that move to the right or the left, with their flow beside them."""
    root = tmp_path_factory.mktemp("resume")
    rng = np.random.default_rng(0)
    for number in range(3):
        moving = texture(8, seed=number)
        for label, shown in (("one", moving), ("two", moving[::-1])):
            noise = rng.integers(0, 255, (20, 32, 32, 3), dtype=np.uint8)
            encode(root / "rgb" / label / f"{number}.avi", noise, fps=25, codec="mjpeg")
            path = root / "motion" / "videos" / label / f"{number}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            encode(path, shown, fps=25, codec="libx264rgb", options={"qp": "0"})
            stored(path, root / "motion" / "flow" / label / str(number), FlowSettings())
    return {"rgb": root / "rgb", "flow": root / "motion" / "videos"}


Run = Callable[..., int]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """``run(kind, videos, folder, precision, optimizer, workers, kill_at)``: exit code of a process that trains."""
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}  # threads that wait leave the processors to others
    with subprocess.Popen(
        [sys.executable, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        commands, answers = server.stdin, server.stdout

        def ask(*arguments: object) -> int:
            print(json.dumps([str(part) if isinstance(part, Path) else part for part in arguments]), file=commands)
            commands.flush()
            return int(answers.readline())

        yield ask


def tensors(folder: Path) -> dict[str, bytes]:
    path = latest_checkpoint(folder / "checkpoints")
    assert path is not None
    with safe_open(path, framework="np") as file:
        return {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118


@pytest.mark.parametrize(
    ("kind", "precision", "optimizer", "kills"),
    [("rgb", "float32", "sgd", 1), ("rgb", "bfloat16", "adamw", 3), ("flow", "float32", "adamw", 1)],
)
def test_kills_change_no_bit(
    folders: dict[str, Path], run: Run, tmp_path: Path, kind: str, precision: str, optimizer: str, kills: int
) -> None:
    if precision == "bfloat16" and not has_fast_bfloat16():
        pytest.skip("this processor has no bf16 instructions")
    videos = folders[kind]
    assert run(kind, videos, tmp_path / "whole", precision, optimizer, 1, 0) == 0
    steps = sorted(random.Random(f"{precision} {optimizer}").sample(range(3, 11), kills))
    for number, step in enumerate(steps):
        # Another number of decoding processes each time: it must not matter.
        killed = run(kind, videos, tmp_path / "killed", precision, optimizer, 1 + number % 2, step)
        assert killed == -signal.SIGKILL
    assert run(kind, videos, tmp_path / "killed", precision, optimizer, 2, 0) == 0
    whole, killed_and_resumed = tensors(tmp_path / "whole"), tensors(tmp_path / "killed")
    assert any(name.startswith("optimizer/") for name in whole)
    assert any("num_batches_tracked" in name for name in whole) == (kind == "rgb")
    assert whole == killed_and_resumed
    rows = (tmp_path / "whole" / "metrics.csv").read_bytes()
    assert rows == (tmp_path / "killed" / "metrics.csv").read_bytes()
    assert len(rows.splitlines()) == 12
