"""Folders of transformers: what is read, what is refused, and with which words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.huggingface.made import FRAMES, Save, network, write_processor
from tubelet.errors import ExitCode, InputDataError, MissingExtraError, UsageError
from tubelet.models.folder import load_model, read_config, read_provenance
from tubelet.models.huggingface import files, library
from tubelet.models.huggingface.network import ImageNetwork
from tubelet.models.registry import create_model, info_of
from tubelet.protocols.comparable import seen_by

Change = Callable[[Path], None]


@pytest.fixture
def copied(saved: Save, tmp_path: Path) -> Callable[[str], Path]:
    """A folder that a test may change."""
    return lambda name: Path(shutil.copytree(saved(name), tmp_path / name))


def edit(folder: Path, **changed: Any) -> None:
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, **changed}))


def test_what_a_folder_says_of_itself(saved: Save) -> None:
    model = load_model(saved("videomae"))
    assert (model.name, model.input.shape, model.input.step_frames) == ("hf:videomae", (3, FRAMES, 32, 32), 4)
    assert model.options["attention"] == "sdpa"
    assert not model.training
    assert model.paper.arxiv == "2203.12602"
    assert "sampling_rate 4" in model.source.choices[0]
    assert "antialiasing" in model.source.choices[1]
    config = read_config(saved("videomae"))
    assert (config.name, config.weights_sha256) == ("hf:videomae", model.weights_id)


def test_length_and_step_of_clips_can_be_chosen(saved: Save) -> None:
    model = load_model(saved("vjepa2"), clip_length=8, step_frames=3)
    assert (model.input.clip_length, model.input.step_frames, model.input.side) == (8, 3, 32)
    assert load_model(saved("vit"), clip_length=16).input.clip_length == 16
    assert load_model(saved("videomae"), step_frames=2).input.step_frames == 2
    with pytest.raises(UsageError, match="takes clips of 4 frames, not 6"):
        load_model(saved("videomae"), clip_length=6)
    with pytest.raises(UsageError, match="takes clips of multiples of 2 frames, not 5"):
        load_model(saved("vjepa2"), clip_length=5)
    with pytest.raises(UsageError, match=r"no option 'step'.*'step_frames'"):
        load_model(saved("vit"), step=2)


def test_a_card_names_what_it_was_trained_on(copied: Any) -> None:
    folder = copied("vit")
    assert files.card_datasets(folder) == ()
    (folder / "README.md").write_text("---\nlicense: mit\ndatasets:\n- imagenet-1k\n- 'imagenet-21k'\ntags: [x]\n---\n")
    assert files.card_datasets(folder) == ("imagenet-1k", "imagenet-21k")
    (folder / "README.md").write_text("---\ndatasets: [kinetics400]\n---\n# datasets:\n- none\n")
    assert files.card_datasets(folder) == ("kinetics400",)
    provenance = load_model(folder).provenance
    assert provenance is not None
    assert seen_by(provenance) == seen_by(read_provenance(folder)) == "kinetics400, says its card"
    assert "trained_on" not in provenance


def test_weights_in_several_files(transformers: Any, copied: Any) -> None:
    folder = copied("vit")
    whole = load_model(folder)
    (folder / "model.safetensors").unlink()
    network(transformers, "vit").save_pretrained(folder, max_shard_size="20KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 1
    parts = load_model(folder)
    x = torch.rand(1, *whole.input.shape)
    assert torch.equal(parts.features(x, ("pooled",))["pooled"], whole.features(x, ("pooled",))["pooled"])
    assert len(parts.weights_id) == 64
    assert parts.weights_id != whole.weights_id
    tensors = load_file(shards[0])
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, shards[0], metadata={"format": "pt"})
    assert files.weights_sha256(folder) != parts.weights_id
    shards[0].unlink()
    with pytest.raises(InputDataError, match=rf"has no weights.*{shards[0].name}"):
        load_model(folder)


def test_the_last_layer_on_the_class_token_may_be_absent(transformers: Any, copied: Any) -> None:
    folder = copied("vit")
    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("pooler.")}
    assert len(kept) == len(tensors) - 2
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    model, x = load_model(folder), torch.rand(1, 3, 1, 32, 32)
    with torch.no_grad():
        right = network(transformers, "vit")(x[:, :, 0]).last_hidden_state[:, 0]
    assert torch.allclose(model.features(x, ("pooled",))["pooled"].flatten(1), right, atol=1e-5)


def test_a_model_of_pictures_and_words_is_read_for_its_pictures(transformers: Any, tmp_path: Path) -> None:
    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    vision = {**text, "image_size": 32, "patch_size": 8, "projection_dim": 8}
    config = transformers.CLIPConfig(text_config={**text, "vocab_size": 40}, vision_config=vision, projection_dim=8)
    both = transformers.CLIPModel(config).eval()
    both.save_pretrained(tmp_path)
    write_processor(tmp_path, video=False)
    model, x = load_model(tmp_path), torch.rand(2, 3, 1, 32, 32)
    assert model.name == "hf:clip"
    with torch.no_grad():
        right = both.visual_projection(both.vision_model(x[:, :, 0]).pooler_output)
    assert torch.allclose(model.features(x, ("pooled",))["pooled"].flatten(1), right, atol=1e-5)
    assert model.provenance is not None
    assert any("text_model" in name for name in model.provenance["huggingface"]["tensors_left_out"])


def test_the_projection_of_clip_is_as_long_as_the_whole_says(transformers: Any, tmp_path: Path) -> None:
    """Each half may carry a length of its own, which the whole does not read."""
    half = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.CLIPConfig(
        text_config={**half, "vocab_size": 40},
        vision_config={**half, "image_size": 32, "patch_size": 8, "projection_dim": 16},
        projection_dim=8,
    )
    both = transformers.CLIPModel(config).eval()
    both.save_pretrained(tmp_path)
    write_processor(tmp_path, video=False)
    x = torch.rand(2, 3, 1, 32, 32)
    with torch.no_grad():
        right = both.visual_projection(both.vision_model(x[:, :, 0]).pooler_output)
    assert right.shape == (2, 8)
    assert torch.allclose(load_model(tmp_path).features(x, ("pooled",))["pooled"].flatten(1), right, atol=1e-5)


@pytest.mark.parametrize("name", ["vjepa2", "vjepa2_classes"])
def test_the_predictor_of_v_jepa_2_is_left_out(transformers: Any, saved: Save, name: str) -> None:
    """It never runs, so it is neither kept nor counted."""
    module, model = network(transformers, name), load_model(saved(name))
    of_predictor = {key: tensor.numel() for key, tensor in module.named_parameters() if "predictor." in key}
    assert model.provenance is not None
    assert model.provenance["huggingface"]["tensors_left_out"] == sorted(of_predictor)
    every = sum(tensor.numel() for tensor in module.parameters())
    assert info_of(model).parameters == every - sum(of_predictor.values()) < every
    assert model.weights_id == files.sha256_file(saved(name) / "model.safetensors")


def test_a_classifier_laid_out_otherwise_is_refused_when_it_is_loaded(
    transformers: Any, saved: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(transformers.ResNetForImageClassification, "base_model_prefix", "elsewhere")
        with pytest.raises(InputDataError, match=r"type resnet are not adapted.*has no elsewhere below its classifier"):
            load_model(saved("resnet_classes"))

    def strange(self: object, tokens: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        raise ValueError("tokens of another kind")

    monkeypatch.setattr(ImageNetwork, "_placed", strange)
    with pytest.raises(InputDataError, match=r"type vit are not adapted.*tokens of another kind"):
        load_model(saved("vit"))


def drop_a_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("layernorm.weight")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def cut_short(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-8])


REFUSED: list[tuple[Change, str]] = [
    (drop_a_tensor, r"do not fill the network.*missing: layernorm\.weight.*random numbers"),
    (pickle_only, r"pytorch_model\.bin, and only safetensors.*can run code.*import ViTModel as M; .*save_pretrained"),
    (cut_short, "weights file is damaged"),
    (lambda folder: (folder / "model.safetensors").unlink(), "folder has no weights"),
    (lambda folder: (folder / "preprocessor_config.json").unlink(), "does not say how pixels are prepared"),
    (lambda folder: edit(folder, model_type="vit_mae"), "vit_mae are not adapted.*leaves out patches at random"),
    (lambda folder: edit(folder, model_type="timesformer"), "timesformer are not adapted.*VideoMAE and V-JEPA 2"),
    (lambda folder: edit(folder, model_type="mine", auto_map={"AutoModel": "evil.Net"}), "code in the folder is not"),
    (lambda folder: edit(folder, quantization_config={"bits": 4}), "its weights are quantized"),
    (lambda folder: edit(folder, hidden_size=48), r"do not fill the network.*not of its shape: embeddings"),
    (lambda folder: edit(folder, hidden_act="nonsense"), r"transformers cannot read the network"),
    (lambda folder: write_processor(folder, video=False, crop_size=24), "not adapted.*a frame of 24x24 pixels"),
]


@pytest.mark.parametrize(("change", "match"), REFUSED)
def test_what_cannot_be_read_is_refused(copied: Any, change: Change, match: str) -> None:
    folder = copied("vit")
    change(folder)
    with pytest.raises(InputDataError, match=match):
        load_model(folder)


def test_no_code_of_a_folder_is_run(copied: Any) -> None:
    folder = copied("vit")
    (folder / "modeling_mine.py").write_text("raise SystemExit('run')")
    edit(folder, auto_map={"AutoModel": "modeling_mine.Mine"})
    assert load_model(folder).name == "hf:vit"


def test_a_network_of_words_is_none_of_pictures(transformers: Any, tmp_path: Path) -> None:
    config = transformers.BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=40
    )
    transformers.BertModel(config).save_pretrained(tmp_path)
    write_processor(tmp_path, video=False)
    with pytest.raises(InputDataError, match=r"bert are not adapted.*takes input_ids, not pictures"):
        load_model(tmp_path)


def test_a_processor_of_another_size_is_refused(copied: Any) -> None:
    folder = copied("videomae")
    write_processor(folder, video=True, crop_size={"height": 24, "width": 24})
    with pytest.raises(InputDataError, match="crops 24x24 pixels, and the network takes 32x32"):
        load_model(folder)


def test_training_is_refused(saved: Save) -> None:
    with pytest.raises(UsageError, match=r"hf:vit is a network of Hugging Face, which is not built or trained here"):
        create_model("hf:vit")
    with pytest.raises(UsageError, match="holds 'hf:vit', not 'c3d_small'"):
        create_model("c3d_small", weights=saved("vit"))


def test_facts_are_counted(saved: Save) -> None:
    """ViT of 2 layers: 16 patches of 8 × 8 × 3 and 17 tokens of 32 numbers, 64 in between, and a last layer."""
    info = info_of(load_model(saved("vit")))
    layers = 16 * 192 * 32 + 2 * 17 * (4 * 32 * 32 + 2 * 32 * 64) + 32 * 32
    attention = 2 * 2 * 17 * 17 * 32
    assert (info.macs, info.attention_macs) == (layers + attention, attention)
    norms, places, embedding = 5 * 64, 18 * 32, 192 * 32 + 32
    blocks = 2 * (4 * (32 * 32 + 32) + 2 * 32 * 64 + 64 + 32)
    assert info.parameters == embedding + places + norms + blocks + 32 * 32 + 32
    assert "products of attention" in str(info)
    assert info.cited == "Dosovitskiy 2020"


def test_names_of_the_hub(monkeypatch: pytest.MonkeyPatch, saved: Save) -> None:
    asked: list[tuple[str, str | None]] = []

    class Client:
        @staticmethod
        def snapshot_download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
            asked.append((name, revision))
            assert not any(pattern.endswith((".bin", ".py", "*")) for pattern in allow_patterns)
            if name == "nobody/nothing":
                raise ConnectionError("no network\nlong story")
            return str(saved("vit"))

    monkeypatch.setattr(files, "hub", lambda: Client)
    assert files.locate("google/vit-base@v1.0") == saved("vit")
    assert files.locate("google/vit-base") == saved("vit")
    assert asked == [("google/vit-base", "v1.0"), ("google/vit-base", None)]
    with pytest.raises(InputDataError, match=r"cannot be fetched.*nobody/nothing \(no network\).*connection"):
        files.locate("nobody/nothing")
    with pytest.raises(InputDataError, match="there is no such folder: /no/where"):
        files.locate("/no/where")
    assert files.locate(str(saved("vit"))) == saved("vit")
    assert len(asked) == 3


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, saved: Save) -> None:
    def absent(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    library.transformers.cache_clear()
    monkeypatch.setattr(library, "import_module", absent)
    with pytest.raises(
        MissingExtraError, match=r"No module named 'transformers'.*pip install 'tubelet\[hf\]'"
    ) as caught:
        load_model(saved("vit"))
    assert caught.value.exit_code == ExitCode.MISSING_EXTRA
    assert read_config(saved("vit")).name == "hf:vit", "its type and weights can be told without"
