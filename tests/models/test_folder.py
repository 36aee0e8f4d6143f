from __future__ import annotations

import json
import logging
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tubelet.clips.recipes import get_recipe
from tubelet.errors import InputDataError, UsageError
from tubelet.models import VideoModel, create_model, load_model
from tubelet.models import folder as folder_module

SMALL: dict[str, Any] = {"width": 0.0625, "side": 16, "clip_length": 4}
CLASSES = ("run", "walk", "skip")


def tiny(seed: int = 0, name: str = "c3d_small") -> VideoModel:
    return create_model(name, 3, seed=seed, **SMALL)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return tiny().save(tmp_path / "model", labels=CLASSES, provenance={"dataset": "weizmann", "groups": ["ido"]})


def test_files_are_the_promised_ones_and_plain(saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} == {
        "config.json", "model.safetensors", "preprocessor_config.json", "labels.json", "provenance.json",
        "README.md",
    }  # fmt: skip
    config = json.loads((saved / "config.json").read_text())
    assert config["name"] == "c3d_small"
    assert config["input"]["clip_length"] == 4
    assert json.loads((saved / "labels.json").read_text()) == list(CLASSES)
    provenance = json.loads((saved / "provenance.json").read_text())
    assert provenance["groups"] == ["ido"]
    assert provenance["environment"]["packages"]["torch"]
    tensors = load_file(saved / "model.safetensors")
    assert tensors["conv1a.weight"].shape == (4, 3, 3, 3, 3)
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX")
def test_folder_and_files_have_usual_permissions(saved: Path) -> None:
    probe = saved.parent / "probe"
    probe.mkdir()
    assert stat.S_IMODE(saved.stat().st_mode) == stat.S_IMODE(probe.stat().st_mode)
    (probe / "file").touch()
    assert (saved / "config.json").stat().st_mode == (probe / "file").stat().st_mode


def test_card_names_paper_classes_recipe_and_origin(saved: Path) -> None:
    card = (saved / "README.md").read_text()
    head = card.split("---")[1]
    assert "library_name: tubelet" in head
    assert "pipeline_tag: video-classification" in head
    for text in (
        "1412.0767",
        '"walk"',
        "weizmann",
        "c3d_small",
        "4 frames of 16 × 16 pixels",
        "width=0.0625",
    ):
        assert text in card, text


def test_card_says_that_snippets_come_from_the_whole_video(tmp_path: Path) -> None:
    create_model("tsn_resnet50", 2, width=0.0625, blocks=(1, 1, 1, 1), side=32, segments=5).save(tmp_path / "m")
    card = (tmp_path / "m" / "README.md").read_text()
    assert "| Input | 5 snippets, one from each equal part of the video: 1 frame of 32 × 32 pixels, rgb" in card


def test_card_survives_odd_labels(tmp_path: Path) -> None:
    labels = ["```", "---\nlicense: evil", "<script>", *(f"class {i}" for i in range(37))]
    model = create_model("c3d_small", 40, **SMALL)
    model.save(tmp_path / "m", labels=labels, provenance={"note": "````"})
    card = (tmp_path / "m" / "README.md").read_text()
    assert card.count("\n---\n") == 1
    assert "and 10 more" in card
    assert load_model(tmp_path / "m").labels == tuple(labels)


def test_card_cuts_long_lists_and_the_file_keeps_them(tmp_path: Path) -> None:
    given = {"trained_on": {"groups": [f"g{i:02}" for i in range(13)], "classes": ["a"] * 10}}
    create_model("c3d_small", 3, **SMALL).save(tmp_path / "m", provenance=given)
    card = (tmp_path / "m" / "README.md").read_text()
    assert '"g09",\n      "and 3 more"\n' in card
    assert "g10" not in card
    assert card.count('"a"') == 10
    read = load_model(tmp_path / "m").provenance
    assert read is not None
    assert read["trained_on"] == given["trained_on"]


def test_recipe_is_the_published_one_at_the_networks_side(saved: Path) -> None:
    recipe = load_model(saved).recipe
    assert recipe == get_recipe("c3d_small").with_side(16)
    assert recipe.crop_hw == (16, 16)


def test_given_recipe_comes_back(tmp_path: Path) -> None:
    recipe = get_recipe("c3d_channel_mean").with_side(16).with_flip(False)
    tiny().save(tmp_path / "m", recipe=recipe)
    model = load_model(tmp_path / "m")
    assert model.recipe == recipe
    model.save(tmp_path / "n")
    assert load_model(tmp_path / "n").recipe == recipe


def test_without_its_mean_file_the_faithful_recipe_is_left_out_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        create_model("c3d", 3, **SMALL).save(tmp_path / "m")
    assert "saved without its preprocessing" in caplog.text
    assert "c3d_channel_mean" in caplog.text
    assert load_model(tmp_path / "m").recipe is None
    assert load_model(tmp_path / "m").labels is None
    assert load_model(tmp_path / "m").provenance is None
    assert "Not recorded." in (tmp_path / "m" / "README.md").read_text()


def test_half_precision_and_channels_last_weights_are_stored_plain(tmp_path: Path) -> None:
    model = tiny().to(memory_format=torch.channels_last_3d)
    model.bfloat16().save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.conv2a.weight.dtype == torch.float32
    assert torch.equal(again.conv2a.weight, model.conv2a.weight.float())


def test_saving_again_replaces_the_models_files_only(saved: Path) -> None:
    (saved / "svm.json").write_text("{}")
    other = tiny(seed=1)
    other.save(saved)
    again = load_model(saved)
    assert torch.equal(again.fc6.weight, other.fc6.weight)
    assert again.labels is None
    assert not (saved / "provenance.json").exists()
    assert (saved / "svm.json").exists()
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_an_empty_folder_is_filled_and_a_file_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    tiny().save(tmp_path / "empty")
    assert load_model(tmp_path / "empty").num_classes == 3
    tiny().save(tmp_path / "deep" / "er")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="this is a file"):
        tiny().save(tmp_path / "file")


def stop_at_rename(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    replace, calls = os.replace, iter(range(100))

    def stopping(source: Any, target: Any) -> None:
        if next(calls) == number:
            raise OSError("the machine stops here")
        replace(source, target)

    monkeypatch.setattr(os, "replace", stopping)


@pytest.mark.parametrize("number", range(7))  # six files are put into the hidden folder, then it is renamed
def test_a_new_folder_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    stop_at_rename(monkeypatch, number)
    with pytest.raises(OSError, match="stops here"):
        tiny().save(tmp_path / "new", labels=CLASSES, provenance={"a": 1})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", range(12))
def test_an_interrupted_replacement_is_the_old_model_or_a_clear_error(
    saved: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    stop_at_rename(monkeypatch, number)
    with pytest.raises(OSError, match="stops here"):
        tiny(1).save(saved, labels=CLASSES, provenance={"a": 1})
    monkeypatch.undo()
    if number > 6:  # six files are staged; the first one that is replaced then holds the weights
        with pytest.raises(InputDataError, match="are not those that the configuration names"):
            load_model(saved)
    else:
        assert torch.equal(load_model(saved).fc6.weight, tiny().fc6.weight)
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


# ---------------------------------------------------------------------- create_model(weights=...)


def test_weights_with_the_same_classes(saved: Path) -> None:
    model = create_model("c3d_small", weights=saved)
    assert model.training
    assert model.num_classes == 3
    assert model.labels == CLASSES
    assert model.weights_id == load_model(saved).weights_id
    assert model.seed is None
    same = create_model("c3d_small", 3, weights=saved, dropout=0.1)
    assert same.dropout.p == 0.1
    assert same.weights_id == model.weights_id


def test_weights_with_other_classes_get_a_fresh_head_aloud(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        model = create_model("c3d_small", 7, weights=saved, seed=2)
    assert "has 3 outputs; a fresh one with 7 starts from seed 2" in caplog.text
    source = load_model(saved)
    assert torch.equal(model.fc7.weight, source.fc7.weight)
    assert model.labels is None
    assert model.fc8.weight.shape == (7, 128)
    assert model.weights_id != source.weights_id
    assert torch.equal(model.fc8.weight, create_model("c3d_small", 7, seed=2, **SMALL).fc8.weight)


def test_weights_of_another_network_or_shape_are_refused(saved: Path) -> None:
    with pytest.raises(UsageError, match="holds 'c3d_small', not 'c3d'"):
        create_model("c3d", weights=saved)
    with pytest.raises(UsageError, match="there is no model"):
        create_model("c4d", weights=saved)
    with pytest.raises(UsageError, match="no option 'sied'; did you mean 'side'"):
        create_model("c3d_small", weights=saved, sied=3)
    with pytest.raises(InputDataError, match=r"fc6\.weight is F32 128×16 instead of F32 128×64"):
        create_model("c3d_small", weights=saved, side=64)
    with pytest.raises(InputDataError, match="no weights ship with Tubelet"):
        create_model("c3d", weights="c3d.sports1m")


# ---------------------------------------------------------------------- damaged folders


def edit_config(**changes: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **changes}))

    return damage


def overwrite(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(data) and None


def edit_header(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        data = (folder / "model.safetensors").read_bytes()
        length = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + length])
        new = json.dumps(change(header) or header).encode()
        (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(new)) + new + data[8 + length :])

    return damage


def edit_tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        tensors = {key: value.clone() for key, value in load_file(folder / "model.safetensors").items()}
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return damage


def cut(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-100])


def flip_bit(folder: Path) -> None:
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "this is no model folder.*has no config.json"),
    "config of bytes": (overwrite("config.json", b"\xff\x00"), "not readable as JSON"),
    "config is a list": (overwrite("config.json", b"[1]"), "holds no dict"),
    "deep config": (overwrite("config.json", b"[" * 100_000), "not readable as JSON"),
    "foreign config": (overwrite("config.json", b'{"architectures": ["Net"]}'), "its format is not"),
    "newer": (edit_config(format_version=99), r"format version 99 is unknown\); update"),
    "name": (edit_config(name=None), "name is missing or of the wrong kind"),
    "classes": (edit_config(num_classes="3"), "num_classes is missing or of the wrong kind"),
    "no classes": (edit_config(num_classes=0), "cannot be built"),
    "unknown network": (edit_config(name="c5d"), "cannot be built: there is no model 'c5d'"),
    "unknown option": (edit_config(options={"colour": 1}), "cannot be built: c3d_small has no option"),
    "huge": (edit_config(options={"width": 99}), "the weights do not fit the network"),
    "vast": (edit_config(options={"width": 100, "side": 1_000_000}), "cannot be built.*make it smaller"),
    "absurd": (edit_config(options={"width": 1e30}), "cannot be built"),
    "more classes": (edit_config(num_classes=4), r"fc8\.weight is F32 3×128 instead of F32 4×128"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "has no weights"),
    "weights are a folder": (
        lambda f: ((f / "model.safetensors").unlink(), (f / "model.safetensors").mkdir()),
        "weights file is damaged",
    ),
    "empty weights": (overwrite("model.safetensors", b""), "no safetensors header"),
    "garbage weights": (overwrite("model.safetensors", bytes(range(256)) * 9), "no safetensors header"),
    "pickle": (overwrite("model.safetensors", b"\x80\x02}q\x00." + bytes(99)), "no safetensors header"),
    "header not JSON": (overwrite("model.safetensors", struct.pack("<Q", 4) + b"{nul"), "is not JSON"),
    "header a list": (overwrite("model.safetensors", struct.pack("<Q", 2) + b"[]"), "no table of tensors"),
    "truncated": (cut, "where its header announces"),
    "bit flip": (flip_bit, "not those that the configuration names"),
    "nonsense entry": (edit_header(lambda h: h.update({"fc6.bias": 3})), "nonsense about 'fc6.bias'"),
    "negative shape": (edit_header(lambda h: h["fc6.bias"].update(shape=[-1])), "nonsense about 'fc6.bias'"),
    "wrong type": (edit_header(lambda h: h["fc6.bias"].update(dtype="F64")), "nonsense about 'fc6.bias'"),
    "overlap": (
        edit_header(lambda h: h.update({"conv1a.weight": h["fc8.weight"]})),
        "leave a gap or overlap",
    ),
    "missing tensor": (edit_tensors(lambda t: t.pop("conv3a.weight")), r"conv3a\.weight is missing"),
    "extra tensor": (edit_tensors(lambda t: t.update(x=torch.ones(1))), "x is not in the network"),
    "many missing": (edit_tensors(dict.clear), "; and 31 more"),
    "half weights": (
        edit_tensors(lambda t: t.update({"fc6.bias": t["fc6.bias"].half()})),
        r"fc6\.bias is F16",
    ),
    "labels": (overwrite("labels.json", b'["a", "b"]'), "2 labels"),
    "labels twice": (overwrite("labels.json", b'["a", "a", "b"]'), "2 of them distinct"),
    "labels no names": (overwrite("labels.json", b"[1, 2, 3]"), "not a sequence of class names"),
    "labels no list": (overwrite("labels.json", b'{"a": 1}'), "holds no list"),
    "provenance": (overwrite("provenance.json", b"{"), "not readable as JSON"),
    "recipe": (overwrite("preprocessor_config.json", b"{}"), "recipe"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_folder_gives_one_clear_error(saved: Path, kind: str) -> None:
    damage, message = DAMAGES[kind]
    damage(saved)
    with pytest.raises(InputDataError, match=message) as caught:
        load_model(saved)
    assert str(saved) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


def test_no_such_folder_and_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="there is no such folder"):
        load_model(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputDataError, match="there is no such folder"):
        load_model(tmp_path / "file")


@pytest.mark.parametrize("labels", [("a", "b"), ("a", "a", "b"), "abc", (1, 2, 3)])
def test_wrong_labels_are_refused_before_anything_is_written(tmp_path: Path, labels: Any) -> None:
    with pytest.raises(UsageError, match="label"):
        tiny().save(tmp_path / "m", labels=labels)
    assert list(tmp_path.iterdir()) == []


def test_module_writes_only_through_staging() -> None:
    source = Path(folder_module.__file__).read_text()
    assert "pickle" not in source.replace("nothing pickled", "")
    assert "torch.load" not in source
