"""The page that ``tubelet demo --story`` ends with: the videos, one figure that tells it, and what is learned first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tubelet.flow.estimate import estimate
from tubelet.protocols.run_report import kept, training_facts
from tubelet.protocols.story import DIFFICULTY, FACTORS, FLOW, NETS, Story, reversed_share
from tubelet.protocols.story_rows import StoryRow
from tubelet.provenance import environment
from tubelet.reporting.curves import training_curves
from tubelet.reporting.filmstrip import example_strips
from tubelet.reporting.flow_wheel import flow_film
from tubelet.reporting.page import Page
from tubelet.reporting.panels import PanelRow, Share, share_panels
from tubelet.reporting.strips import Strip
from tubelet.reporting.text import percent
from tubelet.video.reader import Video
from tubelet.video.synthetic import (
    COLORS,
    MOTION_CLASSES,
    REVERSED,
    Order,
    draw_motion,
    draw_scene,
    render,
)

Pixels = NDArray[np.uint8]

_HEADINGS = {"together": "Descriptors side by side", "tests": "The same C3D, tested on changed videos"}
_SHOWN_MOTIONS = ("right", "clockwise", "grow")
# Scenes that show it well: an arrow that stays inside the frame, small enough to grow, and a large one to turn.
_SEED, _FLOW_SEED = 2174, 622
_LEARNED = 0.9


def story_report(
    path: Path,
    videos: Mapping[Order, Path],
    folder: Path,
    found: Story,
    curve: Sequence[Mapping[str, float]],
    steps: int,
) -> Path:
    """Write the page; the figures also go to ``folder/plots`` as pictures."""
    plots = folder / "plots"
    page = Page(
        "What frames know, what flow knows, and what C3D knows",
        "Videos with two labels that say nothing about each other: the color of what moves, and how it moves.",
    )
    _headline(page, found)
    _films(page, found, videos, plots)
    _accuracy(page, found, plots)
    _learning(page, curve, steps, plots)
    _combinations(page, found)
    page.add_section(
        "How it was made",
        "Every network is trained once, on all 50 pairs of color and motion (ImageNet's not at all). A video is "
        "described by the mean of its clips' activations (one every 8 frames), scaled to length one, and a linear "
        "SVM on that descriptor is asked for the color, for the motion, and for both: the protocol of the C3D paper "
        "(section 3.3). "
        "No scene of the test videos is in training.",
    )
    net = found.nets["c3d"]
    page.add_facts({"videos": DIFFICULTY.describe(), "flow": f"{FLOW.algorithm}, bound {FLOW.bound:g} pixels"})
    page.add_facts({one.key: f"{one.model} {one.options or ''}".strip() for one in NETS})
    page.add_facts(training_facts(net))
    settings = {key: one.to_dict() for key, one in found.nets.items()}
    page.set_provenance(environment(settings=settings, dataset=found.videos.to_dict()))
    return page.save(path)


def _headline(page: Page, found: Story) -> None:
    page.add_numbers(
        *[
            (
                " · ".join(percent(found.results[key][name].value, 0) for name in ("color", "motion")),
                name,
                "color · motion",
            )
            for key, name in (("frame", "frame by frame"), ("flow", "optical flow"), ("c3d", "C3D"))
        ]
    )
    odd = [
        f"{row.title}, {factor} ({percent(found.results[row.key][factor].value)} for {row.expected[factor].words})"
        for row in found.rows
        for factor in FACTORS
        if not row.expected[factor].met(found.results[row.key][factor].value)
    ]
    n = len(found.rows) * len(FACTORS)
    page.add_text(
        f"All {n} figures below are what the making of the videos predicts."
        if not odd
        else f"{n - len(odd)} of {n} figures below are what the making of the videos predicts, but not "
        f"{'; '.join(odd)}."
    )


def _films(page: Page, found: Story, videos: Mapping[Order, Path], plots: Path) -> None:
    page.add_section(
        "The videos",
        "One colored object moves; all else stands still. Which color it has and which way it moves are drawn "
        "independently. In every single frame, place, size and angle are as likely in one motion as in another, so **a "
        "frame cannot tell the motion**. The colors have the same brightness, and optical flow is computed from "
        "brightness, so **flow cannot tell the color**.",
    )
    groups = {
        motion: [Strip(_made(color, motion), label=COLORS[color]) for color in (0, 2)] for motion in _SHOWN_MOTIONS
    }
    page.add_figure(
        kept(
            example_strips(
                groups,
                frames_shown=4,
                title="Three of ten motions, two of five colors",
                caption="One scene. Rows differ in motion alone, columns in color alone.",
            ),
            plots / "videos.png",
        )
    )
    item = next(
        item for item in found.videos.select(split="test").items if item.label and item.label.endswith(" right")
    )
    names: dict[str, Order] = {
        "as it is": "forward", "backward": "backward", "shuffled": "shuffled", "one frame": "still",
    }  # fmt: skip
    page.add_figure(
        kept(
            example_strips(
                {name: [Strip(_frames(videos[order] / item.path))] for name, order in names.items()},
                frames_shown=8,
                title="The same frames in other orders",
                caption="A test video. Shuffling leaves every frame, and with it the color, and takes the motion.",
            ),
            plots / "orders.png",
        )
    )
    for color in (0, 3):
        frames = _made(color, "clockwise", _FLOW_SEED)[:8]
        page.add_figure(
            kept(
                flow_film(
                    frames,
                    estimate(frames, FLOW.algorithm).vectors,
                    max_px=4.0,
                    frames_shown=4,
                    title=f"Optical flow of a {COLORS[color]} object that turns clockwise",
                    caption=None if color == 0 else "The same video in another color: flow is the same.",
                ),
                plots / f"flow_{COLORS[color]}.png",
            )
        )


def _accuracy(page: Page, found: Story, plots: Path) -> None:
    n = found.results["c3d"]["both"].n
    page.add_section("What each knows")
    rows, last = [], "alone"
    for row in found.rows:
        heading = _HEADINGS.get(row.group, "") if row.group != last else ""
        last = row.group
        rows.append(PanelRow(row.title, _shares(found, row), note=row.note, heading=heading))
    chances = (1 / len(COLORS), 1 / len(MOTION_CLASSES), 1 / len(COLORS) / len(MOTION_CLASSES))
    figure = share_panels(
        rows,
        ("Color", "Motion", "Both"),
        chances,
        title="What each descriptor knows",
        caption=f"Share of {n} unseen videos that a linear SVM on the descriptor gets right, with 95 % bootstrap "
        "intervals. Blue: more than guessing. Gray: not more than guessing. Dashed: chance.",
    )
    page.add_figure(kept(figure, plots / "story.png"))
    if all(row.expected[one].met(found.results[row.key][one].value) for row in found.rows for one in FACTORS
           if row.group == "alone"):  # fmt: skip
        page.add_text(
            "Frames, one by one and averaged, tell the color; of the motion they tell at best the way (sideways, "
            "turning), never the direction. Flow tells the motion and leaves the color to guessing. C3D, which sees 16 "
            "frames at once, tells both; and it owes the motion to what changes from frame to frame: of one frame, "
            "shown 16 times, the same network tells the color alone."
        )
    turned = reversed_share(found.results["backward"]["motion"], REVERSED)
    page.add_text(
        f"Played backward, {percent(turned)} of the videos are taken for the reverse motion, and "
        f"{percent(found.results['backward']['color'].value)} of the colors are right. Shuffled, "
        f"{percent(found.results['shuffled']['motion'].value)} of the motions are still right: a bag of frames shows "
        "that something moves sideways, or turns, but not which way, so half of them is the most that can be hoped for."
    )
    page.add_table(
        ["descriptor", *FACTORS],
        [
            [
                row.title,
                *(_figure(found, row, factor) for factor in FACTORS),
            ]
            for row in found.rows
        ],
        align="llll",
        highlight=0,
        caption="Percent right (95 % interval): what the making of the videos lets expect.",
    )


def _shares(found: Story, row: StoryRow) -> list[Share]:
    shares = []
    for factor in FACTORS:
        result = found.results[row.key][factor]
        ends = result.interval
        shares.append(Share(result.value, *((None, None) if ends is None else (ends.low, ends.high))))
    return shares


def _figure(found: Story, row: StoryRow, factor: str) -> str:
    result = next(result for name, result in found.results[row.key].items() if name == factor)
    ends = result.interval
    sure = "" if ends is None else f" ({100 * ends.low:.1f}–{100 * ends.high:.1f})"
    return f"{100 * result.value:.1f}{sure}: {row.expected[factor].words}"


def _learning(page: Page, curve: Sequence[Mapping[str, float]], steps: int, plots: Path) -> None:
    page.add_section("What is learned first")
    first = {name: _first(curve, name) for name in ("color", "motion")}
    said = [
        f"{name} after {step} steps" if step is not None else f"{name} not in {steps} steps"
        for name, step in first.items()
    ]
    page.add_text(
        "C3D's own answers on the test videos while it is trained, from its checkpoints. "
        f"{percent(_LEARNED, 0)} are right: {', '.join(said)}."
        + (
            " Appearance comes first, motion later."
            if first["color"] is not None and (first["motion"] is None or first["color"] < first["motion"])
            else ""
        )
    )
    figure = training_curves(
        curve,
        title="Color and motion during training",
        caption="Share of test videos that C3D itself (not the SVM) gets right, first clip of each; chance: 20 % of "
        "colors, 10 % of motions, 2 % of both.",
    )
    page.add_figure(kept(figure, plots / "learning.png"))


def _first(curve: Sequence[Mapping[str, float]], name: str) -> int | None:
    return next((int(row["step"]) for row in curve if row[f"{name}_accuracy"] >= _LEARNED), None)


def _combinations(page: Page, found: Story) -> None:
    gain = {
        key: found.results[key]["both"].value - found.results["c3d"]["both"].value for key in ("c3d+frame", "c3d+flow")
    }
    page.add_section(
        "Why combinations help, or do not",
        f"Frames and flow side by side know both ({percent(found.results['frame+flow']['both'].value)}), which neither "
        "does alone: that is Two-Stream's idea. Beside C3D they change "
        f"{100 * gain['c3d+frame']:+.1f} points (frames) and {100 * gain['c3d+flow']:+.1f} (flow): a second descriptor "
        "gives what the first lacks, and nothing else. On UCF101, says the C3D paper, ImageNet's features add 0.6 "
        "points to C3D's, and iDT's, which are of motion, 5.2 (from 85.2 to 90.4 %).",
    )


def _made(color: int, motion: str, seed: int = _SEED) -> Pixels:
    """The first clip of 16 frames of a scene in one of the colors."""
    scene = draw_scene(seed, DIFFICULTY, texture=color)
    return render(scene, draw_motion(motion, seed, DIFFICULTY).trajectory(DIFFICULTY))[:16]


def _frames(path: Path) -> Pixels:
    with Video(path) as video:
        return video.frames(range(len(video)))
