"""The task needs time: a network with kernels of depth 1, pooled to T = 1, cannot tell a pair apart."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from tubelet.models.registry import create_model
from tubelet.video.synthetic import MOTION_CLASSES, make_video


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> torch.Tensor:
    """(10, 3, 16, 56, 56) float32 in [-1, 1]: a clip of each class, decoded from its file by PyAV."""
    folder = tmp_path_factory.mktemp("blind")
    rows = []
    for seed, label in enumerate(MOTION_CLASSES):
        path: Path = make_video(folder / f"{label}.avi", label, seed)
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][4:20]
        rows.append(np.stack([cv2.resize(frame, (56, 56)) for frame in frames]))
    return torch.from_numpy(np.stack(rows)).permute(0, 4, 1, 2, 3).contiguous().float() / 127.5 - 1


@pytest.mark.parametrize("depth", [1, 3])
def test_only_temporal_kernels_see_the_direction_of_time(clips: torch.Tensor, depth: int) -> None:
    torch.manual_seed(0)
    model = create_model(f"c3d_depth{depth}", num_classes=10, width=0.25, side=56, batch_norm=True, dropout=0.0)
    with torch.no_grad():
        model.train()
        model(clips)  # gives batch normalization the statistics of these clips
        model.eval()
        ahead, back = model(clips), model(clips.flip(2))
    assert ahead.std() > 1e-3  # the logits say something
    difference = float((ahead - back).abs().max())
    if depth == 1:
        assert difference <= 1e-5
    else:
        assert difference > 1e-3
