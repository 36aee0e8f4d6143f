"""Training runs, each in a process of its own, which kills itself with SIGKILL after a given step (0: never).

Reads the arguments of one run per line, as JSON, and answers with how its process ended. Each is forked from this
process, which has imported everything and computed nothing: what a new interpreter would be after some seconds.
"""

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # by every optimizer, for two seconds

from tubelet.clips.decode import ClipDecoder
from tubelet.clips.jitter import Jitter
from tubelet.clips.recipe import Recipe
from tubelet.clips.recipes import get_recipe
from tubelet.datasets.catalog import open_dataset
from tubelet.datasets.loader import decode_videos
from tubelet.flow.decode import FlowDecoder
from tubelet.models.contract import VideoModel
from tubelet.models.precision import PrecisionReport
from tubelet.models.registry import create_model
from tubelet.training import precision as arithmetic
from tubelet.training.config import TrainConfig
from tubelet.training.loop import train

COLORS = Jitter(crop="none", scale=(0.8, 1.2), shift=0.1, brightness=0.2)
CROPS = Jitter(crop="inclusive")


def network(kind: str, classes: int) -> tuple[VideoModel, Recipe, Jitter]:
    """A small network for frames, or for the flow that is stored in ``flow`` beside the videos."""
    if kind == "rgb":
        model = create_model("c3d_small", classes, seed=3, width=0.125, side=32)
        return model, get_recipe("c3d_small").with_side(32), COLORS
    model = create_model("two_stream_temporal", classes, seed=3, flow_fields=3, width=0.0625, side=48)
    return model, Recipe("small", (48, 64), (48, 48), "flow", flow_mean="field"), CROPS


def run(kind: str, videos: str, folder: str, precision: str, optimizer: str, workers: int, kill_at: int) -> None:
    torch.set_num_threads(2 if kind == "rgb" else 1)  # the frames' network is large enough for two
    # The proof of the gradients takes seconds and has tests of its own.
    arithmetic.check_gradients = lambda model, dtype, memory_format: PrecisionReport(dtype, memory_format, 1, ())  # type: ignore[assignment]
    manifest = open_dataset("folder", videos)
    model, recipe, jitter = network(kind, len(manifest.classes))
    config = TrainConfig(
        iterations=11,
        batch_size=4,
        optimizer=optimizer,
        learning_rate=0.01,
        schedule="one-cycle",
        label_smoothing=0.1,
        precision=precision,
        jitter=jitter,
        checkpoint_every=2,
        seed=5,
        workers=workers,
    )

    def on_step(step: int) -> None:
        if step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    flow = Path(videos).parent / "flow"
    with ClipDecoder(workers) if kind == "rgb" else FlowDecoder(flow, workers) as decoder:
        decoded = decode_videos(manifest, recipe, decoder, modality=model.input.content, workers=workers)
        train(model, decoded, config, Path(folder), on_step=on_step)


def forked(arguments: list[Any]) -> int:
    """Exit code of a run, negative the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            run(*arguments)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    for line in sys.stdin:
        print(forked(json.loads(line)), flush=True)
