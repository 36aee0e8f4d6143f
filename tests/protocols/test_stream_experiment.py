"""The file of a comparison of streams: what it may say, and one sentence for what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tubelet.errors import UsageError
from tubelet.models.registry import build_meta
from tubelet.protocols.presets import SMALL, WEIZMANN
from tubelet.protocols.stream_experiment import StreamExperiment, StreamPlan, load_stream_experiment

HEAD = 'name = "two"\nsource = "a test"\ndataset = "weizmann"\n'
STREAM = '[[streams]]\nname = "{name}"\nmodel = "c3d_small"\nrecipe = "c3d_small"\n[streams.train]\niterations = 2\n'
TWO = STREAM.format(name="rgb") + STREAM.format(name="flow")
FUSION = '[[fusions]]\nname = "both"\nstreams = ["rgb", "flow"]\n'
IMAGE = '[[features]]\nname = "image"\nmodel = "squeezenet"\nlayer = "pool10"\n'
JOINED = '[[combinations]]\nname = "joined"\nof = ["rgb", "image"]\n'
WITH_SVM = STREAM.format(name="rgb").replace("[streams.train]", 'svm = "fc6"\n[streams.train]')


def read(folder: Path, text: str) -> StreamExperiment:
    (folder / "streams.toml").write_text(text)
    return load_stream_experiment(folder / "streams.toml")


def test_what_a_file_leaves_out_has_a_default(tmp_path: Path) -> None:
    found = read(tmp_path, HEAD + TWO + FUSION)
    assert (found.folds, found.fold_seed, found.split, found.primary) == ("groups", 0, 1, None)
    assert [stream.name for stream in found.streams] == ["rgb", "flow"]
    stream = found.streams[0]
    assert (stream.views, stream.weights, stream.flow, stream.start_from) == (None, "none", "none", "same")
    assert (stream.train.iterations, stream.options) == (2, {})
    (fusion,) = found.fusions
    assert (fusion.by, fusion.weights, fusion.factors) == ("scores", None, (1.0, 1.0))
    given = read(tmp_path, f'{HEAD}folds = 3\nprimary = ["flow", "rgb"]\n{TWO}{FUSION}weights = [1, 1.5]\n')
    assert (given.folds, given.primary, given.fusions[0].factors) == (3, ("flow", "rgb"), (1.0, 1.5))


def test_only_some_streams_take_their_fusions_and_comparisons_along(tmp_path: Path) -> None:
    text = f'{HEAD}primary = ["both", "rgb"]\n{TWO}{STREAM.format(name="difference")}{FUSION}'
    found = read(tmp_path, text)
    assert found.only(None) is found
    two = found.only(["flow", "rgb"])
    assert [stream.name for stream in two.streams] == ["rgb", "flow"], "in the order of the file"
    assert ([fusion.name for fusion in two.fusions], two.primary) == (["both"], ("both", "rgb"))
    one = found.only(["rgb", "difference"])
    assert (one.fusions, one.primary) == ((), None)
    with pytest.raises(UsageError, match="two has no stream 'warped'; its streams are rgb, flow, difference"):
        found.only(["rgb", "warped"])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (HEAD, "it has neither streams nor features nor trajectories"),
        (HEAD + "folds = 1\n" + TWO, "1 is not 'groups', 'official' or a number of folds from 2 on"),
        (HEAD + "folds = true\n" + TWO, "True is not 'groups'"),
        (HEAD + 'folds = "thirds"\n' + TWO, "'thirds' is not 'groups'"),
        (HEAD + TWO + STREAM.format(name="rgb"), "'rgb' names two rows of the table"),
        (HEAD + TWO + FUSION.replace("both", "rgb"), "'rgb' names two rows of the table"),
        (HEAD + STREAM.format(name="plots"), "no row can be called 'plots'"),
        (HEAD + STREAM.format(name=" "), "a combination has an empty name"),
        (HEAD + TWO + FUSION.replace('"flow"', '"warped"'), "the fusion 'both' names 'warped', and the streams are"),
        (HEAD + TWO + FUSION.replace('"flow"', '"rgb"'), "fusions.0: Value error, a stream is named twice"),
        (HEAD + TWO + FUSION + "weights = [1]\n", "1 weights for 2 streams"),
        (HEAD + TWO + FUSION + "weights = [1, -1]\n", "weights are positive numbers"),
        (HEAD + TWO + FUSION + 'by = "svm"\n', "fusions.0.by: Input should be 'scores' or 'softmax'"),
        (HEAD + TWO + FUSION.replace('"flow"', '"image"') + IMAGE, "the streams are ['rgb', 'flow']; descriptors are"),
        (HEAD + TWO + JOINED.replace('"image"', '"flow"'), "names 'rgb', which has no svm layer"),
        (HEAD + WITH_SVM + JOINED, "names 'image', which is none of ['rgb']"),
        (HEAD + WITH_SVM + IMAGE + JOINED.replace('"image"', '"rgb"'), "a descriptor is named twice"),
        (HEAD + WITH_SVM + IMAGE + JOINED.replace(', "image"', ""), "combinations.0.of: Tuple should have at least 2"),
        (HEAD + WITH_SVM + IMAGE.replace('"image"', '"rgb fc6 + SVM"'), "'rgb fc6 + SVM' names two rows"),
        (HEAD + IMAGE + "clip_length = 0\n", "features.0.clip_length: Input should be greater than or equal to 1"),
        (HEAD + "svm_c = 0\n" + IMAGE, "svm_c: Input should be greater than 0"),
        (HEAD + 'primary = ["rgb", "warped"]\n' + TWO, "primary names 'warped', and the table's rows are"),
        (HEAD + 'primary = ["rgb", "rgb"]\n' + TWO, "primary names the same row twice"),
        (HEAD + TWO + "validate_every = 5\n", "streams.1: Value error, a fold holds no validation videos out"),
        (HEAD + "teacher = 1\n" + TWO, "teacher: Extra inputs are not permitted"),
        (HEAD + TWO + "also = []\n", "streams.1.train.also: Extra inputs are not permitted"),
        (
            HEAD + TWO.replace("[streams.train]", 'start_from = "inflate"\n[streams.train]'),
            "needs weights = 'required'",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(UsageError) as told:
        read(tmp_path, text)
    assert complaint in str(told.value)
    assert str(told.value).startswith(f"the settings of {tmp_path / 'streams.toml'} do not fit (")
    assert "\n" not in str(told.value)


def test_svms_are_rows_between_streams_and_fusions(tmp_path: Path) -> None:
    flow = STREAM.format(name="flow")
    found = read(tmp_path, f'{HEAD}primary = ["joined", "rgb"]\n{WITH_SVM}{flow}{IMAGE}{JOINED}{FUSION}')
    assert found.rows == ("rgb", "flow", "rgb fc6 + SVM", "image", "joined", "both")
    assert [(row.name, row.of) for row in found.svm_rows] == [
        ("rgb fc6 + SVM", ("rgb",)), ("image", ("image",)), ("joined", ("rgb", "image"))
    ]  # fmt: skip
    assert found.svm_c == 1.0, "the papers do not state theirs"
    (image,) = found.features
    assert (image.weights, image.clip_length, image.stride_frames) == ("required", None, None)
    assert found.only(["rgb", "image"]).rows == ("rgb", "rgb fc6 + SVM", "image", "joined")
    assert found.only(["rgb", "image"]).primary == ("joined", "rgb")
    assert (found.only(["rgb", "flow"]).rows, found.only(["rgb", "flow"]).primary) == (
        ("rgb", "flow", "rgb fc6 + SVM", "both"), None
    )  # fmt: skip
    assert found.only(["image"]).rows == ("image",)
    with pytest.raises(UsageError, match="its streams and descriptors are rgb, flow, image"):
        found.only(["joined"])
    assert read(tmp_path, HEAD + IMAGE).rows == ("image",), "features alone are a table"


def test_trajectories_are_rows_and_parts_of_combinations(tmp_path: Path) -> None:
    moves = '[[trajectories]]\nname = "idt"\n[[trajectories]]\nname = "few"\nencoding = "fisher256"\n'
    joined = JOINED.replace('"image"', '"idt"')
    found = read(tmp_path, HEAD + WITH_SVM + IMAGE + moves + joined)
    assert [one.encoding for one in found.trajectories] == ["bow", "fisher"], "the papers' number needs no saying"
    assert found.rows == ("rgb", "rgb fc6 + SVM", "image", "idt", "few", "joined")
    assert found.svm_rows[-1].of == ("rgb", "idt")
    assert found.only(["rgb", "idt"]).rows == ("rgb", "rgb fc6 + SVM", "idt", "joined")
    assert found.only(["few"]).rows == ("few",)
    with pytest.raises(UsageError, match=r"trajectories cannot be encoded as 'fc6'; take bow \(5000 words a channel\)"):
        read(tmp_path, HEAD + moves.replace("fisher256", "fc6"))
    with pytest.raises(UsageError, match="no row can be called 'trajectories': that folder holds the trajectories"):
        read(tmp_path, HEAD + moves.replace('"few"', '"trajectories"'))


EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def test_the_tables_train_as_the_protocols_do() -> None:
    table = load_stream_experiment(EXPERIMENTS / "tables" / "weizmann.toml")
    c3d, temporal = table.streams
    assert c3d.train == WEIZMANN
    (other,) = [one for one in load_stream_experiment(EXPERIMENTS / "streams" / "weizmann.toml").streams
                if one.name == "temporal"]  # fmt: skip
    assert temporal.model_copy(update={"svm": None}) == other
    assert table.rows == (
        "c3d", "temporal", "c3d fc6 + SVM", "temporal global_pool + SVM", "squeezenet", "idt bow", "idt fisher",
        "c3d + squeezenet", "c3d + idt", "c3d + idt fisher", "c3d + temporal + squeezenet", "c3d + temporal scores",
    )  # fmt: skip
    frames = load_stream_experiment(EXPERIMENTS / "tables" / "frames_5fps.toml")
    assert frames.streams[0].train == SMALL.changed(iterations=450)
    streams = load_stream_experiment(EXPERIMENTS / "streams" / "frames_5fps.toml")
    assert (frames.folds, frames.fold_seed) == (streams.folds, streams.fold_seed), "the same folds"
    for one in (table, frames):
        for plan in (*one.streams, *one.features):
            layer = plan.svm if isinstance(plan, StreamPlan) else plan.layer
            options = dict(plan.options) if isinstance(plan, StreamPlan) else {}
            assert layer in build_meta(plan.model, 10, options).layer_names


def test_weizmanns_streams_differ_in_what_they_see() -> None:
    experiment = load_stream_experiment(EXPERIMENTS / "streams" / "weizmann.toml")
    assert (experiment.dataset, experiment.folds, experiment.primary) == ("weizmann", "groups", ("temporal", "spatial"))
    assert [plan.options["modality"] for plan in experiment.streams] == ["rgb", "flow", "rgb_difference"]
    assert [plan.flow for plan in experiment.streams] == ["none", "required", "none"]
    assert {(plan.options["width"], plan.options["side"]) for plan in experiment.streams} == {(0.25, 112)}
    rgb, flow, difference = (
        sum(tensor.numel() for tensor in build_meta(plan.model, 10, dict(plan.options)).parameters())
        for plan in experiment.streams
    )
    # Only the first convolution differs: 7x7 windows on 3, 10 and 15 channels, 64 / 4 of them.
    assert (flow - rgb, difference - rgb) == (7 * 49 * 16, 12 * 49 * 16)
