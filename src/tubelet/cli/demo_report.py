"""The page that the demo ends with: figures, curves, confusions, a map, and nearest neighbors to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tubelet.datasets.manifest import Manifest
from tubelet.descriptors.pooling import FloatArray
from tubelet.descriptors.store import DescriptorTable
from tubelet.errors import MissingExtraError
from tubelet.protocols.motion import NETS, motion_settings
from tubelet.protocols.recognition import Recognition
from tubelet.protocols.result import Result
from tubelet.protocols.round_descriptors import DESCRIPTORS
from tubelet.protocols.run_report import result_section, settings_section
from tubelet.provenance import environment
from tubelet.reporting.bars import Bar, interval_bars
from tubelet.reporting.curves import training_curves
from tubelet.reporting.filmstrip import example_strips, neighbor_strips
from tubelet.reporting.page import Page
from tubelet.reporting.scatter import scatter_map
from tubelet.reporting.strips import Strip
from tubelet.reporting.text import percent
from tubelet.search.exact import ExactIndex
from tubelet.training.metrics import read_metrics
from tubelet.video.reader import Video
from tubelet.video.synthetic import DEFAULT_DIFFICULTY, MOTION_CLASSES, REVERSED
from tubelet.visualize.embedding import Embedding, embed_principal, embed_tsne

_QUERIES, _NEIGHBORS = 6, 4


def demo_report(
    path: Path, videos: Path, folder: Path, found: dict[str, tuple[Manifest, Recognition]], steps: int, seed: int = 0
) -> Path:
    """Write the demo's page; the figures also go to ``folder/plots`` as pictures."""
    test, main = found["depth3"]
    plots = folder / "plots"
    page = Page(
        "What a temporal kernel sees",
        f"A small C3D and the same net without temporal kernels, each trained for {steps} steps to tell ten motions "
        "of synthetic videos apart.",
    )
    values = {net.key: found[net.key][1].net.value for net in NETS}
    page.add_numbers(
        *[(percent(values[net.key]), net.title, f"{net.judge(values[net.key])} ({net.expects})") for net in NETS]
    )
    _motions(page, videos, test)
    _accuracies(page, found, plots)
    page.add_section("Training")
    rows = read_metrics(folder / "depth3")
    curve = training_curves(rows, title="Training curves", caption="The 3-D net on its training batches.")
    curve.save(plots / "curves.png")
    page.add_figure(curve)
    for result in main.results:
        result_section(page, result, plots, prefix="3-D net: ", order=MOTION_CLASSES)
    result_section(page, found["depth1"][1].net, plots, prefix="Depth-1 net: ", order=MOTION_CLASSES)
    page.add_text(_confused_with_reverse(found["depth1"][1].net))
    _map_and_neighbors(page, test, main, folder, plots)
    settings = motion_settings(NETS[0], steps, seed, 1)
    settings_section(page, test, settings)
    page.set_provenance(environment(settings=settings.to_dict(), dataset=test.to_dict()))
    return page.save(path)


def _confused_with_reverse(result: Result) -> str:
    wrong = [prediction for prediction in result.predictions if prediction.predicted != prediction.label]
    reverse = sum(prediction.predicted == REVERSED[prediction.label] for prediction in wrong)
    return (
        f"Of the {len(wrong)} mistakes of the depth-1 net, {reverse} take a motion for its reverse: a net that is "
        "blind to the order of frames can see that something moves sideways, but not which way."
    )


def _motions(page: Page, videos: Path, test: Manifest) -> None:
    page.add_section(
        "The videos",
        f"{DEFAULT_DIFFICULTY.describe()}. Classes come in pairs that are each other's reverse. At every frame, "
        "position, size, angle and texture have the same distribution in all classes, and every frame is compressed "
        "by itself, so that no single frame can tell the class.",
    )
    groups: dict[str, list[Strip]] = {}
    for name in MOTION_CLASSES:
        items = [item for item in test.items if item.label == name][:2]
        groups[name] = [Strip(_frames(test.file(item))) for item in items]
    page.add_figure(example_strips(groups, title="Motions", caption="Two test videos of each class, in time order."))


def _accuracies(page: Page, found: dict[str, tuple[Manifest, Recognition]], plots: Path) -> None:
    bars = []
    for net in NETS:
        for result in found[net.key][1].results:
            ends = result.interval
            head = "SVM on fc6" if result is found[net.key][1].svm else "network"
            low, high = (None, None) if ends is None else (ends.low, ends.high)
            bars.append(
                Bar(
                    f"{net.title}, {head}",
                    result.value,
                    low,
                    high,
                    note=net.expects,
                    strong=net.key == "depth3",
                )
            )
    n = len(found["depth3"][0])
    page.add_section("Accuracy")
    figure = interval_bars(
        bars,
        chance=1 / len(MOTION_CLASSES),
        caption=f"Share of {n} unseen videos recognized, with 95 % bootstrap intervals. Dashed: chance.",
    )
    figure.save(plots / "accuracy.png")
    page.add_figure(figure)


def _map_and_neighbors(page: Page, test: Manifest, main: Recognition, folder: Path, plots: Path) -> None:
    head = main.svm or main.net
    outcome = {prediction.video_id: prediction for prediction in head.predictions}
    ids = sorted(outcome)
    table = DescriptorTable(folder / "depth3" / DESCRIPTORS)
    vectors = table.videos("fc6", ids).take(ids)
    page.add_section(
        "The descriptor",
        "Clips of 16 frames, stride 8, fc6, mean over clips, L2: the C3D video descriptor, of test videos only.",
    )
    layout, how = _layout(vectors)
    figure = scatter_map(
        layout.points,
        [outcome[video_id].label for video_id in ids],
        correct=[outcome[video_id].label == outcome[video_id].predicted for video_id in ids],
        order=MOTION_CLASSES,
        title="Map of the test videos",
        caption=f"{how} of the descriptors of {len(ids)} test videos; crossed: the SVM is wrong.",
    )
    figure.save(plots / "map.png")
    page.add_figure(figure)
    found = table.videos("fc6", ids)
    index = ExactIndex(found.vectors.copy(), found.video_id, found.path, found.start_s, found.end_s)
    items = {item.path: item for item in test.items}
    chosen = [
        next(video_id for video_id in ids if outcome[video_id].label == name) for name in MOTION_CLASSES[:_QUERIES]
    ]
    hits = index.search(found.take(chosen), _NEIGHBORS, exclude=list(chosen))
    queries = [Strip(_frames(test.file(items[video_id])), label=outcome[video_id].label) for video_id in chosen]
    strips = [
        [
            Strip(
                _frames(test.file(items[hit.video_id])),
                label=outcome[hit.video_id].label,
                score=hit.score,
                correct=outcome[hit.video_id].label == outcome[query].label,
            )
            for hit in row
        ]
        for query, row in zip(chosen, hits, strict=True)
    ]
    neighbors = neighbor_strips(
        queries,
        strips,
        title="Nearest neighbors",
        caption="Left: a test video. Right: the test videos nearest to it by cosine, green where the "
        "motion is the same.",
    )
    neighbors.save(plots / "neighbors.png")
    page.add_figure(neighbors)


def _layout(vectors: FloatArray) -> tuple[Embedding, str]:
    """The map, and how it was made: the demo works without extras, and then says what is missing."""
    try:
        layout = embed_tsne(vectors)
    except MissingExtraError:
        layout = embed_principal(vectors)
        share = percent(layout.kept, 0)
        return layout, f"First two principal components ({share} of the variance; t-SNE needs the extra `map`)"
    return layout, "t-SNE" if layout.method == "t-SNE" else "Principal components"


def _frames(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with Video(path) as video:
        return video.frames(range(min(16, len(video))))
