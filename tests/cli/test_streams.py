"""``tubelet evaluate streams``: every stream on every fold, stopped and resumed, pooled, fused, reported, refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.clips.decode import ClipDecoder
from tubelet.datasets.catalog import open_dataset
from tubelet.flow.decode import FlowDecoder
from tubelet.models.folder import load_model
from tubelet.protocols import round_model, score_stream, shared_frames
from tubelet.protocols.rounds import RoundSettings
from tubelet.protocols.score_file import ScoreFile
from tubelet.protocols.stream_experiment import load_stream_experiment
from tubelet.protocols.streams_open import open_folds, open_streams
from tubelet.video.synthetic import make_video

Tubelet = Callable[..., Any]

STREAM = """
[[streams]]
name = "{name}"
model = "two_stream_{name}"
recipe = "{recipe}"
flow = "{flow}"
views = "2x1"
[streams.options]
width = 0.0625
side = 48
{more}
[streams.train]
iterations = 2
batch_size = 4
precision = "float32"
workers = 1
[streams.train.jitter]
crop = "inclusive"
"""
SPATIAL = STREAM.format(name="spatial", recipe="two_stream_rgb", flow="none", more="")
TEMPORAL = STREAM.format(name="temporal", recipe="two_stream_flow", flow="required", more="flow_fields = 2")
FUSION = """
[[fusions]]
name = "both"
streams = ["spatial", "temporal"]
weights = [1, 1.5]
[[fusions]]
name = "averaged"
streams = ["spatial", "temporal"]
by = "softmax"
"""
HEAD = 'name = "two"\nsource = "a test"\ndataset = "weizmann"\nprimary = ["temporal", "spatial"]\n'


@pytest.fixture(scope="module")
def root(weizmann_folder: Path, tubelet: Tubelet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the experiment and the flow of four videos, two actions of two actors."""
    folder = tmp_path_factory.mktemp("streams")
    (folder / "two.toml").write_text(HEAD + SPATIAL + TEMPORAL + FUSION)
    assert tubelet("flow", weizmann_folder, "-o", folder / "flow", "--workers", 1).code == 0
    return folder


@pytest.fixture(scope="module", autouse=True)
def one_decoder_each(root: Path) -> Iterator[None]:
    """Decoding processes take seconds to start, so all runs here use the same."""
    with ClipDecoder(1) as frames, FlowDecoder(root / "flow", 1) as fields, pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "close", lambda: None)
        patch.setattr(fields, "close", lambda: None)
        for module in (shared_frames, score_stream, round_model):
            patch.setattr(module, "ClipDecoder", lambda workers: nullcontext(frames))
            patch.setattr(module, "FlowDecoder", lambda folder, workers, backward: nullcontext(fields))
        yield


@pytest.fixture(autouse=True)
def no_proof_of_gradients(gradients_taken_for_right: None) -> None:
    """It takes seconds, and has tests of its own."""


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The trainings that are begun, as stream/fold; where ``stop`` is among them, the next one fails."""
    begun: list[str] = []
    real = round_model.train

    def noted(model: Any, videos: Any, config: Any, folder: Path, **more: Any) -> Any:
        begun.append("/".join(folder.parts[-2:]))
        if "stop" in begun and begun[-1] == "spatial/bob":
            raise OSError("the disk is full")
        return real(model, videos, config, folder, **more)

    monkeypatch.setattr(round_model, "train", noted)
    return begun


def command(root: Path, videos: Path, *more: object, out: str = "run") -> tuple[object, ...]:
    return (
        "evaluate", "streams", root / "two.toml", "--data", videos, "--flow", root / "flow", "-o", root / out,
        "--device", "cpu", *more,
    )  # fmt: skip


@pytest.fixture
def finished(root: Path, weizmann_folder: Path, tubelet: Tubelet) -> Path:
    """A whole run: that of the next test, or one of its own where another process has that test."""
    for name in ("run", "whole"):
        if (root / name / "report.html").exists():
            return root / name
    assert tubelet(*command(root, weizmann_folder, out="whole")).code == 0
    return root / "whole"


def test_stopped_in_the_second_fold_and_typed_again(
    root: Path,
    weizmann_folder: Path,
    tubelet: Tubelet,
    trained: list[str],
    files_of: Callable[[Path], dict[str, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One long test: the run is made once, and looked at from all sides."""
    trained.append("stop")
    stopped = tubelet(*command(root, weizmann_folder))
    assert stopped.code == 1
    assert "the disk is full" in stopped.complaint
    assert trained == ["stop", "spatial/ann", "temporal/ann", "spatial/bob"]
    assert "[2/4] ann, temporal: " in stopped.err
    run = root / "run"
    before = {stream: files_of(run / stream / "ann") for stream in ("spatial", "temporal")}
    trained.clear()
    found = tubelet(*command(root, weizmann_folder, "--json"))
    assert found.code == 0, found.err
    assert trained == ["spatial/bob", "temporal/bob"], "what was finished is not done again"
    assert "2 of 4 rounds are finished already" in found.err
    assert {stream: files_of(run / stream / "ann") for stream in ("spatial", "temporal")} == before
    last = next(line for line in found.err.splitlines() if line.startswith("[4/4] bob, temporal: "))
    assert "left" not in last
    assert "spatial: two_stream_spatial, " in found.err
    assert "parameters" in found.err

    # Every video is scored once, by a network that was trained on the other actor's alone.
    for stream in ("spatial", "temporal"):
        pooled = ScoreFile.load(run / stream / "scores.npz")
        assert pooled.video_ids == ("ann_run.avi", "ann_walk.avi", "bob_run.avi", "bob_walk.avi")
        assert (pooled.stream, pooled.settings["part"], set(pooled.settings["folds"])) == (
            stream,
            "test",
            {"ann", "bob"},
        )
        folds = [ScoreFile.load(run / stream / fold / "scores.npz") for fold in ("ann", "bob")]
        assert np.array_equal(pooled.scores, np.concatenate([file.scores for file in folds]))
        assert [file.groups for file in folds] == [("ann", "ann"), ("bob", "bob")]
        saw = [
            json.loads((run / stream / fold / "model" / "provenance.json").read_text())["trained_on"]
            for fold in ("ann", "bob")
        ]
        assert [len(one["group_hashes"]) for one in saw] == [1, 1]
        assert saw[0]["group_hashes"] != saw[1]["group_hashes"]

    # The table is what evaluate fuse says about the pooled files.
    files = [run / stream / "scores.npz" for stream in ("spatial", "temporal")]
    for index, options in enumerate((("--weights", 1, 1.5), ("--by", "softmax"))):
        alone = tubelet("evaluate", "fuse", *files, *options, "--json").json
        row = found.json["fusions"][index]
        for key in ("value", "interval", "class_mean", "class_mean_interval", "confusion", "predictions"):
            assert row[key] == alone["fused"][0][key], key
        if not index:
            assert [row["interval"] for row in found.json["streams"]] == [row["interval"] for row in alone["streams"]]
            assert found.json["differences"][0] == alone["differences"][0], "temporal minus spatial"

    # What is reproducible holds no times; these are beside it, and in the report.
    times = json.loads((run / "spatial" / "ann" / "timing.json").read_text())
    assert set(times) == {"training_s", "scoring_s"}
    record = json.loads((run / "result.json").read_text())
    assert record["streams"] == found.json["streams"]
    assert "training_s" not in str(record)
    page = (run / "report.html").read_text(encoding="utf-8")
    for words in (
        "Paired differences",
        "held out",
        "The best, ",
        "spatial + 1.5 temporal",
        "two_stream_temporal",
    ):
        assert words in page, words
    assert {path.name for path in (run / "plots").iterdir()} >= {
        "accuracy.png", "classes_temporal_minus_spatial.png", "curves_spatial.png", "curves_temporal.png",
    }  # fmt: skip

    # Sharing decoded videos changes nothing: the same training, which reads its two videos itself.
    plan = load_stream_experiment(root / "two.toml")
    manifest, folds = open_folds(plan, open_dataset("weizmann", weizmann_folder))
    for stream in open_streams(plan, manifest, folds, flow=root / "flow"):
        ours, _ = round_model.trained_model(
            folds[0].train, stream.settings, root / "alone" / stream.name, device="cpu", flow=stream.flow
        )
        assert ours.weights_id == load_model(run / stream.name / "ann" / "model").weights_id

    monkeypatch.setattr("tubelet.protocols.streams_report.write_streams", lambda *arguments: run / "report.html")
    # Typed once more nothing is trained; another setting is refused before anything is.
    trained.clear()
    again = tubelet(*command(root, weizmann_folder))
    assert (again.code, trained) == (0, []), again.err
    assert "temporal - spatial" in again.out
    assert again.out.splitlines()[-1] == f"report: {run / 'report.html'}"
    other = tubelet(*command(root, weizmann_folder, "--seed", 5))
    assert (other.code, other.out, trained) == (2, "", [])
    assert other.complaint.startswith(f"the output folder holds a run with other settings: {run / 'spatial' / 'ann'}")

    # --streams with --overwrite starts only these anew, and leaves out what needs the others.
    one = tubelet(*command(root, weizmann_folder, "--streams", "spatial", "--overwrite", "--seed", 5))
    assert one.code == 0, one.err
    assert trained == ["spatial/ann", "spatial/bob"]
    assert "temporal" not in one.out
    assert files_of(run / "temporal" / "ann") == before["temporal"]


def test_a_damaged_video_costs_itself(root: Path, weizmann_folder: Path, tubelet: Tubelet, tmp_path: Path) -> None:
    shutil.copytree(weizmann_folder, tmp_path / "videos")
    make_video(tmp_path / "videos" / "cyd_run.avi", "left", 11)
    (tmp_path / "videos" / "bob_run.avi").write_bytes(b"no video")
    (tmp_path / "videos" / "cyd_walk.avi").write_bytes(b"none either")
    (tmp_path / "two.toml").write_text(
        HEAD.replace('primary = ["temporal", "spatial"]', "folds = 2\nfold_seed = 1") + SPATIAL
    )
    found = tubelet(
        "evaluate", "streams", tmp_path / "two.toml", "--data", tmp_path / "videos", "-o", tmp_path / "run", "--json"
    )
    assert found.code == 3, found.err
    assert [one["path"] for one in found.json["failed"]] == ["bob_run.avi", "cyd_walk.avi"]
    lines = (tmp_path / "run" / "failed.jsonl").read_text().splitlines()
    assert [json.loads(line)["path"] for line in lines] == ["bob_run.avi", "cyd_walk.avi"]
    assert found.json["streams"][0]["n"] == 4
    assert found.json["differences"] == []
    assert any("could not be scored and are not counted" in note for note in found.json["notes"])
    assert f"2 videos could not be read, see {tmp_path / 'run' / 'failed.jsonl'}" in found.err


def test_a_fold_of_unreadable_videos_has_no_scores(
    finished: Path, weizmann_folder: Path, tubelet: Tubelet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tubelet.failures import FailedVideo
    from tubelet.protocols import streams
    from tubelet.protocols.score_stream import NothingScoredError

    def nothing(scorer: Any, videos: Any, folder: Path, **more: Any) -> Any:
        lost = [FailedVideo(item.path, item.path, "it is broken", "VideoError") for item in videos.items]
        raise NothingScoredError("no video could be scored").because_of(lost)

    monkeypatch.setattr(streams, "score_stream", nothing)
    monkeypatch.setattr(
        streams,
        "trained_model",
        lambda *arguments, **more: (load_model(finished / "spatial" / "ann" / "model"), []),
    )
    monkeypatch.setattr(streams, "refuse_seen_groups", lambda *arguments, **more: [])
    (tmp_path / "one.toml").write_text(HEAD.replace('primary = ["temporal", "spatial"]', "") + SPATIAL)
    found = tubelet("evaluate", "streams", tmp_path / "one.toml", "--data", weizmann_folder, "-o", tmp_path / "run")
    assert found.code == 4, found.err
    assert "[1/2] ann, spatial: no video could be scored; " in found.err
    assert found.complaint.startswith("no video could be scored by the stream spatial")
    assert len((tmp_path / "run" / "failed.jsonl").read_text().splitlines()) == 4


def test_a_dry_run_says_what_would_be_done(root: Path, weizmann_folder: Path, tubelet: Tubelet, tmp_path: Path) -> None:
    found = tubelet(*command(root, weizmann_folder, "--dry-run", "--json", "--seed", 3, out="dry"))
    assert found.code == 0, found.err
    assert found.json["folds"] == {"ann": 2, "bob": 2}
    assert [found.json["streams"][name]["train"]["seed"] for name in ("spatial", "temporal")] == [3, 3]
    assert found.json["streams"]["temporal"]["flow"] == [str(root / "flow")]
    assert found.json["streams"]["spatial"]["recipe"]["average_flip"] is True, "as train and evaluate do on Weizmann"
    assert not (root / "dry").exists()


def test_what_does_not_fit_is_one_error_before_anything_is_trained(
    root: Path, weizmann_folder: Path, tubelet: Tubelet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(*arguments: Any, **more: Any) -> Any:
        raise AssertionError("nothing may be trained")

    monkeypatch.setattr(round_model, "train", train)
    whole = HEAD + SPATIAL + TEMPORAL + FUSION
    given = ("evaluate", "streams", tmp_path / "streams.toml", "--data", weizmann_folder, "-o", tmp_path / "out")
    both = SPATIAL + TEMPORAL
    for text, options, code, complaint in (
        (whole, [], 2, "the stream temporal reads stored optical flow, and none is given; run: tubelet flow "),
        (whole, ["--flow", tmp_path / "none"], 4, "there is no folder of stored flow"),
        (whole, ["--streams", "spatial,warped"], 2, "two has no stream 'warped'; its streams are spatial, temporal"),
        (whole.replace('flow = "required"', 'flow = "none"'), [], 2, "the stream temporal says flow = 'none'"),
        (HEAD + SPATIAL + SPATIAL, [], 2, "the settings of "),
        (whole, ["--weights", tmp_path], 2, "no stream of two takes --weights; leave --weights away"),
        (HEAD.partition("primary")[0] + SPATIAL, ["--flow", tmp_path], 2, "no stream of two takes --flow"),
        (whole.replace('"2x1"', '"2x6"'), [], 2, "there are no test views '2x6'"),
        (whole.replace("side = 48", "sides = 48"), [], 2, "two_stream_spatial has no option 'sides'"),
        (whole.replace("[streams.options]", 'weights = "required"\n[streams.options]'), [], 2,
         "the stream spatial starts from trained weights, and none ship; give a model folder with --weights DIR"),
        (HEAD.replace("primary", "folds = 9\nprimary") + both, [], 2, "9 folds cannot be made of 2 groups"),
        (HEAD.replace("primary", 'folds = "official"\nprimary') + both, [], 4,
         "weizmann has no training and test part of its own"),
    ):  # fmt: skip
        (tmp_path / "streams.toml").write_text(text)
        found = tubelet(*given, *options)
        assert (found.code, found.out) == (code, ""), found.err
        assert found.complaint.startswith(complaint), found.complaint
        assert not (tmp_path / "out").exists()
    unknown = tubelet(*command(root, weizmann_folder, "--iterations", 3))
    assert (unknown.code, unknown.complaint.split(" (")[0]) == (2, "no such option: --iterations")
    absent = tubelet("evaluate", "streams", tmp_path / "absent.toml", "--data", weizmann_folder)
    assert (absent.code, absent.complaint.split(":")[0]) == (2, "there is no such experiment file")


def test_weights_that_saw_a_test_group_are_refused_or_marked(
    finished: Path, weizmann_folder: Path, tubelet: Tubelet, tmp_path: Path
) -> None:
    (tmp_path / "two.toml").write_text(
        HEAD.replace('primary = ["temporal", "spatial"]', "")
        + SPATIAL.replace("[streams.options]", 'weights = "required"\n[streams.options]')
    )
    given = (
        "evaluate", "streams", tmp_path / "two.toml", "--data", weizmann_folder, "-o", tmp_path / "run",
        "--weights", finished / "spatial" / "ann",
    )  # fmt: skip
    refused = tubelet(*given)
    assert (refused.code, refused.out) == (2, ""), refused.err
    assert refused.complaint.startswith("the weights were trained on 1 of the 2 test groups")
    marked = tubelet(*given, "--allow-leak", "--json")
    assert marked.code == 0, marked.err
    assert "bob: the weights were trained on 1 of the 1 test groups" in marked.json["notes"]
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Note: bob: the weights were trained on" in page
    assert "saw nothing of its group" not in page
    assert "saw nothing of its group" in (finished / "report.html").read_text(encoding="utf-8")


def test_the_settings_of_a_stream_are_those_of_a_round(root: Path, weizmann_folder: Path) -> None:
    plan = load_stream_experiment(root / "two.toml")
    manifest, folds = open_folds(plan, open_dataset("weizmann", weizmann_folder))
    spatial, temporal = open_streams(plan, manifest, folds, flow=root / "flow", seed=4, workers=3)
    assert isinstance(spatial.settings, RoundSettings)
    assert (spatial.settings.train.seed, spatial.settings.train.workers) == (4, 3)
    assert (spatial.settings.with_svm, spatial.settings.flow, temporal.settings.flow) == (
        False,
        (),
        (str(root / "flow"),),
    )
    assert temporal.flow is not None
    assert temporal.flow.kind.algorithm == "dis_medium"
    assert (spatial.views.name, spatial.info.num_classes, temporal.info.input.channels) == ("2x1", 10, 4)
