"""A run that is killed three times ends with the same bits as the run that was left alone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from tubelet.training.checkpoint import latest_checkpoint
from tubelet.training.precision import has_fast_bfloat16
from tubelet.video.encode import encode

SCRIPT = Path(__file__).with_name("resume_run.py")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("resume")
    rng = np.random.default_rng(0)
    for label in ("one", "two"):
        for number in range(3):
            frames = rng.integers(0, 255, (20, 32, 32, 3), dtype=np.uint8)
            encode(root / label / f"{number}.avi", frames, fps=25, codec="mjpeg")
    return root


def run(videos: Path, folder: Path, precision: str, optimizer: str, workers: int, kill_at: int) -> int:
    command = [sys.executable, str(SCRIPT), str(videos), str(folder), precision, optimizer, str(workers), str(kill_at)]
    return subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "2"}, timeout=300, check=False).returncode


def tensors(folder: Path) -> dict[str, bytes]:
    path = latest_checkpoint(folder / "checkpoints")
    assert path is not None
    with safe_open(path, framework="np") as file:
        return {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118


@pytest.mark.parametrize(("precision", "optimizer"), [("float32", "sgd"), ("bfloat16", "adamw")])
def test_three_kills_change_no_bit(videos: Path, tmp_path: Path, precision: str, optimizer: str) -> None:
    if precision == "bfloat16" and not has_fast_bfloat16():
        pytest.skip("this processor has no bf16 instructions")
    assert run(videos, tmp_path / "whole", precision, optimizer, 1, 0) == 0
    steps = sorted(random.Random(f"{precision} {optimizer}").sample(range(1, 11), 3))
    for number, step in enumerate(steps):
        # Another number of decoding processes each time: it must not matter.
        assert run(videos, tmp_path / "killed", precision, optimizer, 1 + number % 2, step) == -signal.SIGKILL
    assert run(videos, tmp_path / "killed", precision, optimizer, 2, 0) == 0
    whole, killed = tensors(tmp_path / "whole"), tensors(tmp_path / "killed")
    assert any(name.startswith("optimizer/") for name in whole)
    assert any("num_batches_tracked" in name for name in whole)
    assert whole == killed
    rows = (tmp_path / "whole" / "metrics.csv").read_bytes()
    assert rows == (tmp_path / "killed" / "metrics.csv").read_bytes()
    assert len(rows.splitlines()) == 12
