"""When a network learns what: its checkpoints asked for color and motion of test videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tubelet.clips.decode import ClipDecoder
from tubelet.datasets.loader import DecodedVideos, decode_videos, input_sampling, plain_clips
from tubelet.datasets.manifest import Manifest
from tubelet.models.folder import load_model
from tubelet.protocols.round_model import MODEL
from tubelet.training.checkpoint import checkpoint_step, checkpoint_weights
from tubelet.video.synthetic import parted_label

_BATCH = 32
_EARLY, _LATER = 200, 100  # after so many steps, checkpoints are looked at only every so many


def learning_curve(run: Path, test: Manifest, workers: int = 2) -> list[dict[str, float]]:
    """Accuracy by color, by motion and by both after every 25, later 100 steps of a run.

    Parameters
    ----------
    run
        Run folder of a network that was trained on labels by both, its checkpoints kept.
    test
        Videos labeled by both; the first clip of each is asked for.
    workers
        Decoding processes.

    Returns
    -------
    list of dict
        ``step``, ``color_accuracy``, ``motion_accuracy``, ``both_accuracy``, by step. The probability of a color is the
        sum of those of all classes that have it, likewise of a motion.
    """
    model = load_model(run / MODEL).eval()
    assert model.recipe is not None
    with ClipDecoder(workers=workers) as decoder:
        videos = decode_videos(test, model.recipe, decoder, modality=model.input.content, workers=workers)
    clips = _first_clips(videos, model.input.clip_length)
    found = []
    paths = sorted((run / "checkpoints").glob("step_*.safetensors"))
    for path in paths:
        step = checkpoint_step(path)
        if step > _EARLY and step % _LATER and path != paths[-1]:
            continue
        model.load_state_dict(checkpoint_weights(path))
        with torch.inference_mode():
            parts = [model(clips[at : at + _BATCH]).softmax(1) for at in range(0, len(clips), _BATCH)]
        shares = factor_accuracies(torch.cat(parts).numpy().astype(np.float64), videos.manifest)
        found.append({"step": float(step), **{f"{name}_accuracy": share for name, share in shares.items()}})
    return found


def factor_accuracies(probabilities: NDArray[np.float64], videos: Manifest) -> dict[str, float]:
    """Share of videos whose color, motion, and both are the likeliest, from probabilities ``(n, K)`` of both."""
    parts = [parted_label(name) for name in videos.classes]
    right = {"both": float((probabilities.argmax(1) == videos.targets).mean())}
    for place, name in enumerate(("color", "motion")):
        values = sorted({part[place] for part in parts})
        column = np.array([values.index(part[place]) for part in parts])
        summed = np.stack([probabilities[:, column == index].sum(1) for index in range(len(values))], axis=1)
        right[name] = float((summed.argmax(1) == column[videos.targets]).mean())
    return {name: right[name] for name in ("color", "motion", "both")}


def _first_clips(videos: DecodedVideos, length: int) -> torch.Tensor:
    sampling = input_sampling("non_overlapping", length, step_frames=1, segments=1)
    return torch.cat([plain_clips(videos, index, sampling, limit=1)[0] for index in range(len(videos.lengths))])
