"""Networks of Hugging Face from the command line on: videos whose pixels are known, described and judged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.huggingface.made import MEAN, STD, Save, network, write_processor
from tubelet.cli.main import main
from tubelet.clips.decode import ClipDecoder
from tubelet.descriptors import extractor
from tubelet.descriptors.extractor import Extractor
from tubelet.descriptors.store import DescriptorTable
from tubelet.models.folder import load_model
from tubelet.video.encode import encode

HEIGHT, WIDTH, LENGTH = 40, 56, 13  # the processor's shorter side, so that nothing is resized


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    """(13, 40, 56, 3): colors that drift over a gradient."""
    t, y, x = np.meshgrid(np.arange(LENGTH), np.arange(HEIGHT), np.arange(WIDTH), indexing="ij")
    channels = [(x * 4 + t * 9) % 256, (y * 6 + t * 5) % 256, (x + y + t * 12) % 256]
    return np.stack(channels, -1).astype(np.uint8)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, pixels: NDArray[np.uint8]) -> Path:
    """Four of two classes, without loss."""
    root = tmp_path_factory.mktemp("hf") / "videos"
    for label, turn in (("left", 1), ("right", -1)):
        for number in range(2):
            path = root / label / f"{number}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            encode(
                path,
                np.ascontiguousarray(pixels[::turn, :, :: 1 - 2 * number]),
                fps=25,
                codec="libx264rgb",
                options={"qp": "0"},
            )
    return root


@pytest.fixture(scope="module", autouse=True)
def one_decoder() -> Iterator[None]:
    """Decoding processes take seconds to start, so all extractors here use the same."""
    with ClipDecoder(1) as frames, pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "close", lambda: None)
        patch.setattr(extractor, "ClipDecoder", lambda workers: frames)
        yield


def normalized(pixels: NDArray[np.uint8], frames: list[int]) -> torch.Tensor:
    """(C, T, 32, 32) of the processor's crop, by its formula in float64."""
    crop = pixels[frames, 4:36, 12:44].astype(np.float64)
    return torch.from_numpy(((crop / 255 - np.array(MEAN)) / np.array(STD)).transpose(3, 0, 1, 2)).float()


@pytest.mark.parametrize(
    ("name", "starts", "step"),
    [("videomae", [0], 4), ("vjepa2", [0, 8], 1), ("vit", list(range(LENGTH)), 1), ("resnet", list(range(LENGTH)), 1)],
)
def test_a_video_is_described_as_transformers_would(
    transformers: Any, saved: Save, videos: Path, pixels: NDArray[np.uint8], name: str, starts: list[int], step: int
) -> None:
    """VideoMAE: frames 0, 4, 8 and 12. V-JEPA 2: four each from 0 and 8. Image networks: every frame."""
    model, module = load_model(saved(name)), network(transformers, name)
    with Extractor(model, ("pooled",), device="cpu") as describing:
        found = describing.describe(videos / "left" / "0.mp4")
    length = model.input.clip_length
    clips = [normalized(pixels, list(range(start, start + length * step, step))) for start in starts]
    with torch.no_grad():
        if name == "videomae":
            right = [module(clip[None].transpose(1, 2)).last_hidden_state.mean(1) for clip in clips]
        elif name == "vjepa2":
            right = [module.get_vision_features(clip[None].transpose(1, 2)).mean(1) for clip in clips]
        else:
            right = [module(clip[:, 0][None]).pooler_output.flatten(1) for clip in clips]
    wanted = torch.cat(right).numpy()
    assert found.start_frame.tolist() == starts
    assert np.abs(found.vectors["pooled"] - wanted).max() <= 1e-5
    assert np.linalg.norm(found.vectors["pooled"] - wanted) <= 1e-5 * np.linalg.norm(wanted)
    mean = wanted.mean(0)
    np.testing.assert_allclose(found.video_vector("pooled"), mean / np.linalg.norm(mean), atol=1e-5)


def test_from_the_command_line(saved: Save, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, folder = tmp_path / "table", saved("vit")
    assert main(["extract", str(videos), "--model", f"hf:{folder}", "-o", str(out), "--format", "npz"]) == 0
    table = DescriptorTable(out)
    rows = table.clips("pooled")
    assert rows.vectors.shape == (4 * LENGTH, 32), "every frame: the mean is the papers' baseline of images"
    assert np.load(out / "descriptors.npz")["vector_pooled"].shape == rows.vectors.shape
    record = json.loads((out / "provenance.json").read_text())
    assert record["model_source"] == str(folder)
    assert (record["model"], record["weights_sha256"]) == ("hf:vit", load_model(folder).weights_id)
    assert main(["verify", str(out)]) == 0
    assert main(["search", str(videos / "left" / "0.mp4"), "--in", str(out)]) == 0
    capsys.readouterr()
    assert main(["models", f"hf:{folder}", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)[0]
    assert info["layer_names"] == ["hidden_0", "hidden_1", "hidden_2", "last_hidden_state", "pooled"]
    assert main(["models", "hf:nowhere"]) == 4
    assert "there is no such folder: nowhere" in capsys.readouterr().err


def test_its_classifier_classifies(
    saved: Save, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["classify", str(videos / "left"), "--model", str(saved("vjepa2_classes")), "-o", str(tmp_path / "c")]
    assert main([*command, "--no-plots", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["classes"] == ["run", "crane (1)", "walk", "crane (3)", "wave"]
    assert len(answer["videos"]) == 2
    assert main(["classify", str(videos), "--model", str(saved("vit")), "-o", str(tmp_path / "d")]) == 4
    told = capsys.readouterr().err
    assert f"hf:vit has no classifier: {saved('vit')}" in told
    assert "fit an SVM on its descriptors" in told
    shutil.copytree(saved("vit_classes"), tmp_path / "numbered")
    config = json.loads((tmp_path / "numbered" / "config.json").read_text())
    config["id2label"] = {str(index): f"LABEL_{index}" for index in range(5)}
    (tmp_path / "numbered" / "config.json").write_text(json.dumps(config))
    assert main(["classify", str(videos), "--model", str(tmp_path / "numbered"), "-o", str(tmp_path / "e")]) == 4
    told = capsys.readouterr().err
    assert "no class names" in told
    assert "name the classes in id2label of its config.json" in told
    assert "tubelet train" not in told


@pytest.mark.parametrize(
    ("name", "length", "said"),
    [
        ("vjepa2", "7", "takes clips of multiples of 2 frames, not 7"),
        ("videomae", "8", "takes clips of 4 frames, not 8"),
    ],
)
def test_another_length_of_clips(
    saved: Save, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, length: str, said: str
) -> None:
    command = ["extract", str(videos), "--model", str(saved(name)), "-o", str(tmp_path / "t"), "--clip-length", length]
    assert main(command) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "build it" not in told, "no option of a folder of Hugging Face builds another"


def test_training_does_not_start_from_it(
    saved: Save, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "folder", "--data", str(videos), "--weights", str(saved("vit")), "-o", str(tmp_path)]) == 2
    assert "does not start from a network of Hugging Face" in capsys.readouterr().err


def test_a_processor_that_resizes(saved: Save, videos: Path, tmp_path: Path, pixels: NDArray[np.uint8]) -> None:
    """Frames of 40 × 56 to a shorter side of 32: OpenCV's bilinear, as for every other network."""
    cv2 = pytest.importorskip("cv2")
    for file in saved("vit").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    write_processor(tmp_path, video=False, size={"shortest_edge": 32})
    model = load_model(tmp_path)
    with Extractor(model, ("pooled",), device="cpu") as describing:
        found = describing.describe(videos / "left" / "0.mp4").vectors["pooled"]
    small = np.stack([cv2.resize(frame, (45, 32), interpolation=cv2.INTER_LINEAR) for frame in pixels])
    crop = ((small[:, :, 6:38].astype(np.float64) / 255 - MEAN) / STD).transpose(3, 0, 1, 2)
    right = model.features(torch.from_numpy(crop.copy()).float()[None], ("pooled",))["pooled"][0, :, :, 0, 0].T
    assert np.abs(found - right.detach().numpy()).max() < 0.02, "a gray level is 0.02 of a deviation"


def test_videos_shorter_than_a_clip_are_told(
    saved: Save, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four frames, 8 apart, span 25; the videos have 13."""
    table, model = str(tmp_path / "t"), str(saved("videomae"))
    assert main(["extract", str(videos), "--model", model, "-o", table, "--step-frames", "8", "--json"]) == 0
    streams = capsys.readouterr()
    said = (
        "4 of the table's 4 videos are padded: they are shorter than a clip (25 frames) and looped to fill one; "
        "with --step-frames 1 a clip spans 4"
    )
    assert json.loads(streams.out)["notes"] == [said]
    assert f"note: {said}\n" in streams.err
    assert main(["extract", str(videos), "--model", model, "-o", str(tmp_path / "whole"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == [], "13 frames are four that lie 4 apart"
    command = ["evaluate", "descriptors", "--data", str(videos), "--table", f"mae={table}", "--test-fraction", "0.5"]
    assert main([*command, "-o", str(tmp_path / "run"), "--json"]) == 0
    (judged,) = json.loads(capsys.readouterr().out)["parts"].values()
    assert f"mae: {said}" in judged["notes"]


def test_a_row_of_a_table_of_streams(
    saved: Save, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    feature = '[[features]]\nname = "vit"\nmodel = "{}"\nweights = "{}"\nlayer = "{}"\n'
    head = 'name = "modern"\nsource = "a test"\ndataset = "folder"\nfolds = 2\n'
    command = ["evaluate", "streams", str(tmp_path / "t.toml"), "--data", str(videos), "--dry-run"]
    for model, layer, code, said in (
        (
            "hf:vit",
            "pooled",
            0,
            f"vit: pooled of hf:vit as it is in {saved('vit')}, recipe hf:vit, clips of 1 every 1 ",
        ),
        ("hf:videomae", "pooled", 0, "recipe hf:videomae, clips of 4 every 8 frames"),
        ("hf:resnet", "pooled", 2, "are those of hf:resnet, and the weights are of hf:vit"),
        ("hf:vit", "fc6", 2, "vit has no layer 'fc6'; its network has hidden_0"),
    ):
        (tmp_path / "t.toml").write_text(
            head + feature.format(model, f"hf:{saved('videomae' if model == 'hf:videomae' else 'vit')}", layer)
        )
        assert main([*command, "-o", str(tmp_path / "run")]) == code
        assert said in capsys.readouterr().err
