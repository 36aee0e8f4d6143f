"""The motion study on synthetic videos: what temporal depth buys, with a control for everything else.

Four networks see the same videos. The 3-D net can tell the ten motions apart. The depth-1 net sees all frames but
pools them without order, so that a video and its reverse are the same to it: half of the classes is its limit.
The single-frame net must stay at chance, or the videos leak. The same single-frame net on the texture label must
do well, or it is the net that fails and not the information.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tubelet.clips.jitter import Jitter
from tubelet.datasets.catalog import open_dataset
from tubelet.datasets.manifest import Manifest
from tubelet.protocols.presets import SMALL, round_settings
from tubelet.protocols.recognition import Recognition, train_and_test
from tubelet.protocols.rounds import RoundSettings

STEPS = 600
STEPS_LONG = 2600

MOTION = SMALL.changed(iterations=STEPS, learning_rate=2e-3, jitter=Jitter(crop="none", flip_p=0.0))
"""Videos are plentiful and their labels directional: no jitter."""


@dataclass(frozen=True)
class MotionNet:
    """One of the study's networks.

    Attributes
    ----------
    key
        Folder of its run.
    title
        What it is called in the report.
    options
        Of ``c3d_small``.
    label_column
        What it has to tell.
    expects
        What the design of the study says it will reach, in words.
    low, high
        The same as shares of the test videos, with room for the chance of 400 of them (two standard errors: 0.05).
    """

    key: str
    title: str
    options: dict[str, Any]
    label_column: str
    expects: str
    low: float = 0.0
    high: float = 1.0

    def judge(self, accuracy: float) -> str:
        """``"as expected"``, or ``"not as expected"``."""
        return "as expected" if self.low <= accuracy <= self.high else "not as expected"


NETS = (
    MotionNet("depth3", "3-D net (depth 3)", {}, "label", "at least 80 %", low=0.8),
    MotionNet("depth1", "depth-1 net", {"depth": 1}, "label", "at most 50 %: blind to the order of frames", high=0.55),
    MotionNet("frame", "single-frame net", {"depth": 1, "clip_length": 1}, "label", "10 %: chance", 0.05, 0.15),
    MotionNet(
        "texture", "single-frame net, texture", {"depth": 1, "clip_length": 1}, "texture", "at least 90 %", low=0.9
    ),
)


def motion_settings(net: MotionNet, steps: int, seed: int, workers: int) -> RoundSettings:
    """Settings of one net's round; only the 3-D net is followed by descriptors and an SVM."""
    config = MOTION.changed(iterations=steps, seed=seed, workers=workers)
    return replace(
        round_settings("c3d_small", options=net.options, train=config, flip=False, with_svm=net.key == "depth3"),
        stride_frames=8,
    )


def run_motion_study(
    videos: Path,
    folder: Path,
    *,
    steps: int = STEPS,
    seed: int = 0,
    workers: int = 2,
    device: str = "cpu",
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, tuple[Manifest, Recognition]]:
    """Train and test all four networks; each finished one is kept and not run again.

    Parameters
    ----------
    videos
        A folder that ``make_dataset`` filled.
    folder
        Where the runs go, one subfolder per net.
    steps, seed, workers, device
        Training steps and the usual.
    say
        Told what begins and what came out.

    Returns
    -------
    dict
        By the net's key: test manifest and figures.
    """
    found = {}
    for net in NETS:
        manifest = open_dataset("metadata", videos, label_column=net.label_column)
        training, test = manifest.select(split="train"), manifest.select(split="test")
        say(f"{net.title}: {steps} steps on {len(training)} videos; expected {net.expects}")
        settings = motion_settings(net, steps, seed, workers)
        recognition = train_and_test(training, test, settings, folder / net.key, device=device)
        for result in recognition.results:
            say(f"  {result.headline()}")
        found[net.key] = (test, recognition)
    return found
