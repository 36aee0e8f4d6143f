"""The catalog of public weights: its tensors as the publishers list them, and its entries against the layouts."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping
from math import prod
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tubelet.errors import InputDataError, UsageError
from tubelet.models.registry import build_meta
from tubelet.provenance import sha256_file
from tubelet.weights import ForeignFile, ForeignTensor, convert, plan_map
from tubelet.weights.catalog import KnownFile, find_files, known_files, label_files, named_like, published
from tubelet.weights.maps import matching_maps

ALL = {each.name: each for each in known_files()}
FITTING = [each for each in ALL.values() if each.model is not None]
REFUSED = [each for each in ALL.values() if each.model is None]
# One file of each layout; the others hold the same under the same rules.
OF_EACH_LAYOUT = list({each.map: each for each in reversed(FITTING)}.values())


def shapes(name: str, optional: bool = True) -> dict[str, tuple[int, ...]]:
    return {each.name: each.shape for each in ALL[name].expected() if optional or not each.optional}


def as_file(shapes: Mapping[str, tuple[int, ...]], path: Path = Path("made"), sha256: str = "0" * 64) -> ForeignFile:
    """A file of these tensors without their memory; a single number is there, for it may be divided by."""

    def tensor(name: str, shape: tuple[int, ...]) -> ForeignTensor:
        dtype = torch.int64 if name.endswith("num_batches_tracked") else torch.float32
        device = "cpu" if prod(shape) == 1 else "meta"
        return ForeignTensor(name, "F32", shape, None, read=lambda: torch.ones(shape, dtype=dtype, device=device))

    return ForeignFile(path, "made", sha256, {name: tensor(name, shape) for name, shape in shapes.items()})


# ---------------------------------------------------------------- what the publishers say


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        # Blobs of C3D v1.0 have five sides, its prototxt calls the fully connected layers fc6-1 to fc8-1.
        ("c3d.sports1m", {"conv1a[0]": (64, 3, 3, 3, 3), "conv1a[1]": (1, 1, 1, 1, 64)}),
        ("c3d.sports1m", {"fc6-1[0]": (1, 1, 1, 4096, 8192), "fc8-1[0]": (1, 1, 1, 487, 4096)}),
        ("c3d.ucf101", {"fc7[0]": (1, 1, 1, 4096, 4096), "fc8[1]": (1, 1, 1, 1, 101)}),
        ("c3d.sports1m_davidea", {"conv1.weight": (64, 3, 3, 3, 3), "conv2.bias": (128,), "fc8.weight": (487, 4096)}),
        ("c3d.sports1m_mmaction", {"conv5b.conv.weight": (512, 512, 3, 3, 3), "fc7.bias": (4096,)}),
        ("c3d.ucf101_mmaction", {"state_dict.backbone.conv1a.conv.bias": (64,)}),
        ("c3d.ucf101_mmaction", {"state_dict.cls_head.fc_cls.weight": (101, 4096)}),
        (
            "res3d.sports1m",
            {"bn3a_branch1[2]": (1,), "scale_conv1[1]": (64,), "res5b_branch2b[0]": (512,) * 2 + (3,) * 3},
        ),
        ("res3d.ucf101", {"fc8-new[0]": (101, 512)}),
        (
            "r2plus1d.kinetics_torchvision",
            {"stem.3.weight": (64, 45, 3, 1, 1), "layer2.0.conv2.0.0.weight": (230, 128, 1, 3, 3)},
        ),
        (
            "r2plus1d.kinetics_vmz_34",
            {"layer2.0.conv2.0.0.weight": (288, 128, 1, 3, 3), "layer4.2.conv2.0.3.weight": (512, 1152, 3, 1, 1)},
        ),
        ("r2plus1d.ig65m_vmz_34_32_frames", {"layer3.0.conv2.0.1.running_var": (576,), "fc.weight": (487, 512)}),
        (
            "two_stream.vgg_m_imagenet",
            {"conv2[0]": (256, 96, 5, 5), "fc6[0]": (1, 1, 4096, 18432), "fc8[1]": (1, 1, 1, 1000)},
        ),
        # Norms of the action networks' Caffe are (1, C).
        ("tsn.ucf101_split1_rgb", {"conv1/7x7_s2[0]": (64, 3, 7, 7), "conv1/7x7_s2_bn[3]": (1, 64)}),
        ("tsn.ucf101_split3_flow", {"conv1/7x7_s2[0]": (64, 10, 7, 7), "inception_5b/pool_proj[1]": (128,)}),
        ("tsn.hmdb51_split2_rgb", {"inception_3a/double_3x3_reduce[0]": (64, 192, 1, 1), "fc-action[0]": (51, 1024)}),
        ("tsn.kinetics_flow_torch", {"conv1_7x7_s2.weight": (64, 10, 7, 7), "fc_action.weight": (400, 1024)}),
        ("tsn.bn_inception_imagenet", {"conv1_7x7_s2_bn.running_mean": (1, 64), "fc.weight": (1000, 1024)}),
        (
            "tsn.bn_inception_imagenet_cadene",
            {"last_linear.bias": (1000,), "inception_4a_1x1.weight": (224, 576, 1, 1)},
        ),
        ("tsn.kinetics_resnet50_3_segments", {"state_dict.backbone.conv1.conv.weight": (64, 3, 7, 7)}),
        ("tsn.kinetics_resnet50_3_segments", {"state_dict.backbone.layer1.0.downsample.bn.running_var": (256,)}),
        ("tsn.something_v2_resnet50_8_segments", {"state_dict.cls_head.fc_cls.weight": (174, 2048)}),
        ("p3d.sports1m", {"conv1[0]": (64, 3, 1, 7, 7), "bn2a_branch2b_t[0]": (1, 64), "fc_sports1m[0]": (487, 2048)}),
        ("p3d.kinetics_flow", {"res4b35_branch2b_t[0]": (256, 256, 3, 1, 1), "res5c_branch2b[0]": (512, 512, 3, 3)}),
        ("p3d.kinetics_rgb_torch", {"state_dict.conv1_custom.weight": (64, 3, 1, 7, 7)}),
        ("p3d.kinetics_rgb_torch", {"state_dict.layer4.0.conv_normal.weight": (512, 512, 3, 3)}),
        (
            "imagenet.densenet121",
            {"features.denseblock1.denselayer1.norm.1.weight": (64,), "features.norm5.bias": (1024,)},
        ),
        (
            "imagenet.squeezenet1_0",
            {"features.12.expand3x3.weight": (256, 64, 3, 3), "classifier.1.weight": (1000, 512, 1, 1)},
        ),
        ("imagenet.caffenet", {"conv2[0]": (256, 48, 5, 5), "fc6[0]": (1, 1, 4096, 9216)}),
        (
            "imagenet.alexnet_torchvision",
            {
                "features.0.weight": (64, 3, 11, 11),
                "features.3.weight": (192, 64, 5, 5),
                "features.6.weight": (384, 192, 3, 3),
                "features.8.weight": (256, 384, 3, 3),
                "features.10.bias": (256,),
                "classifier.1.weight": (4096, 9216),
                "classifier.4.bias": (4096,),
                "classifier.6.weight": (1000, 4096),
            },
        ),
        (
            "imagenet.squeezenet1_1",
            {
                "features.0.weight": (64, 3, 3, 3),
                "features.3.squeeze.weight": (16, 64, 1, 1),
                "features.6.expand3x3.weight": (128, 32, 3, 3),
                "features.11.squeeze.weight": (64, 384, 1, 1),
                "features.12.expand1x1.bias": (256,),
                "classifier.1.bias": (1000,),
            },
        ),
        (
            "imagenet.squeezenet1_1_caffe",
            {"conv1[0]": (64, 3, 3, 3), "fire5/squeeze1x1[0]": (32, 256, 1, 1), "conv10[0]": (1000, 512, 1, 1)},
        ),
        # The deploy prototxts: a bias in conv1 of ResNet-50 alone, blocks b1, b2, … in the deeper ones.
        ("imagenet.resnet50_caffe", {"conv1[1]": (64,), "bn_conv1[2]": (1,), "scale3d_branch2c[0]": (512,)}),
        (
            "imagenet.resnet152_caffe",
            {"res4b35_branch2a[0]": (256, 1024, 1, 1), "bn3b7_branch2b[1]": (128,), "fc1000[0]": (1000, 2048)},
        ),
        (
            "imagenet.resnet152",
            {"layer3.35.conv1.weight": (256, 1024, 1, 1), "layer4.0.downsample.1.running_var": (2048,)},
        ),
    ],
)
def test_names_and_shapes(file: str, expected: dict[str, tuple[int, ...]]) -> None:
    found = shapes(file)
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("file", "tensors"),
    [
        ("c3d.sports1m_davidea", 22),  # as its author lists them
        ("imagenet.resnet50", 267),  # as people who load it count them
        ("imagenet.resnet18", 102),
        ("imagenet.squeezenet_compressed", 52),
        # 69 convolutions with a bias and a norm of four, one classifier.
        ("tsn.ucf101_split1_rgb", 69 * 6 + 2),
        # 20 convolutions with three blobs of statistics and two of scale, one classifier.
        ("res3d.sports1m", 21 * 6 + 2),
        # 53, 104 and 155 of these, and the one bias.
        ("imagenet.resnet50_caffe", 53 * 6 + 2 + 1),
        ("imagenet.resnet101_caffe", 104 * 6 + 2),
        ("imagenet.resnet152_caffe", 155 * 6 + 2),
        ("imagenet.alexnet_torchvision", 16),
        ("imagenet.squeezenet1_1", 52),
    ],
)
def test_numbers_of_tensors(file: str, tensors: int) -> None:
    assert len(shapes(file, optional=False)) == tensors


@pytest.mark.parametrize(
    ("file", "parameters"),
    [
        ("res3d.kinetics_torchvision", 33_371_472),
        ("mc3.kinetics_torchvision", 11_695_440),
        ("r2plus1d.kinetics_torchvision", 31_505_325),
        ("imagenet.resnet18", 11_689_512),
        ("imagenet.resnet34", 21_797_672),
        ("imagenet.resnet50", 25_557_032),
        ("imagenet.resnet101", 44_549_160),
        ("imagenet.resnet152", 60_192_808),
        ("imagenet.densenet121", 7_978_856),
        ("imagenet.densenet169", 14_149_480),
        ("imagenet.squeezenet1_0", 1_248_424),
        ("imagenet.squeezenet1_1", 1_235_496),
        ("imagenet.alexnet_torchvision", 61_100_840),
    ],
)
def test_torchvisions_own_numbers_of_parameters(file: str, parameters: int) -> None:
    counted = sum(prod(shape) for name, shape in shapes(file).items() if not re.search("running|tracked", name))
    assert counted == parameters


# ---------------------------------------------------------------- entries against layouts


@pytest.mark.parametrize("known", OF_EACH_LAYOUT, ids=lambda known: known.name)
def test_a_file_as_the_catalog_describes_it_fills_its_network(known: KnownFile) -> None:
    """Its layout alone recognizes it, and every tensor of both sides finds its place."""
    file = as_file(shapes(known.name))
    assert [each.name for each in matching_maps(file)] == [known.map]
    assert known.layout is not None
    assert known.model is not None
    assert known.layout.classes(file) == known.classes
    network = build_meta(known.model, known.classes or 7, known.network_options)
    report, _ = plan_map(file, network, known.layout.build(network))
    assert report.problems() == []


@pytest.mark.parametrize("known", REFUSED, ids=lambda known: known.name)
def test_a_refused_file_is_told_apart_by_its_layout(known: KnownFile) -> None:
    assert known.command is None
    assert known.why
    assert known.instead
    for other in re.findall(r"\b(?:[a-z0-9_]+\.[a-z0-9_]+)\b", known.instead):
        assert other in ALL or other.startswith("tubelet"), other
    if known.map is not None:
        assert known.layout is not None
        assert known.layout.models == ()
        if known.tensors:
            assert [each.name for each in matching_maps(as_file(shapes(known.name)))] == [known.map]


def test_entries_say_what_has_to_be_said() -> None:
    assert len(ALL) == len(known_files()) >= 70
    for each in ALL.values():
        assert each.get
        assert each.license
        assert all(("from memory" in str(figure)) == (figure.source == "memory") for figure in each.published)
        if each.sha256_begins:
            assert each.sha256_begins in str(each.file)
        if each.sha256:
            assert re.fullmatch("[0-9a-f]{64}", each.sha256)
            assert each.sha256_from
        if each.model is not None:
            assert each.layout is not None
            assert each.model in each.layout.models
            assert each.recipe
    named = [name for each in ALL.values() for name in each.names]
    assert len(named) == len(set(named))
    assert ALL["tsn.ucf101_split3_rgb"].names == {
        "ucf101_split_3_tsn_rgb_reference_bn_inception.caffemodel",
        "ucf101_split_3_tsn_rgb_reference_bn_inception.caffemodel.v5",
    }


def test_lists_of_classes_have_as_many_names_as_the_files_classes() -> None:
    used = {each.labels for each in ALL.values() if each.labels is not None}
    assert used == set(label_files().values())
    for each in ALL.values():
        if each.labels is None:
            assert "--labels" not in (each.command or "")
            continue
        assert each.labels.classes == each.classes
        assert each.command is not None
        assert each.command.endswith(f"--labels {each.labels.file}")
        assert each.labels.url.startswith("https://raw.githubusercontent.com/")
        assert each.labels.url.endswith(f"/{each.labels.file}")
        assert each.labels.says
    # IG-65M's classes were not published, nobody says in which order TSN's Caffe networks count Kinetics.
    assert {each.name for each in FITTING if each.classes and each.labels is None} == {
        "r2plus1d.ig65m_vmz_34",
        "r2plus1d.ig65m_vmz_34_32_frames",
        "tsn.kinetics_rgb",
        "tsn.kinetics_flow",
        "tsn.kinetics_rgb_torch",
        "tsn.kinetics_flow_torch",
    }


def test_the_released_c3d_is_the_one_from_scratch() -> None:
    # Spec c3d_res3d.md, ruling D16 and the table of section 3: 46.1, 61.1 and 85.2 are the net's that began on I380K,
    # which was never released.
    (figure,) = ALL["c3d.sports1m"].published
    assert all(number in str(figure) for number in ("44.9", "60.0", "84.4"))


def test_entries_are_found() -> None:
    assert find_files("c3d.ucf101") == [ALL["c3d.ucf101"]]
    assert {each.family for each in find_files("p3d")} == {"p3d"}
    assert [each.name for each in find_files("*vmz_34")] == ["r2plus1d.kinetics_vmz_34", "r2plus1d.ig65m_vmz_34"]
    for wrong, hint in (("c3d.ucf11", "'c3d.ucf101'"), ("imagnet", "'imagenet'"), ("zzzz", "the families are: c3d, ")):
        with pytest.raises(UsageError, match=hint):
            find_files(wrong)
    assert named_like(Path("/x/resnet50-19c8e357.pth")) == ALL["imagenet.resnet50_older"]
    assert named_like(Path("/x/mine.pth")) is None
    assert published("4bff209a9837298157915ef50a4831a59636a6ca1a6b8ebacd990c3a5f3053e0") == ALL["imagenet.alexnet"]


# ---------------------------------------------------------------- files that differ


def test_a_damaged_payload_is_caught_by_the_published_hash(shared_data: Path, tmp_path: Path) -> None:
    """One bit of the real SqueezeNet: a plausible number, so nothing but the hash can tell."""
    real = shared_data / "weights" / "squeezenet1_0_imagenet.safetensors"
    if not real.is_file():
        pytest.skip(f"the real SqueezeNet is not at {real}")
    assert published(sha256_file(real)) == ALL["imagenet.squeezenet_compressed"]
    convert(real, out=tmp_path / "out")
    damaged = tmp_path / real.name
    shutil.copy(real, damaged)
    data = bytearray(damaged.read_bytes())
    data[-2] ^= 1
    damaged.write_bytes(data)
    with pytest.raises(InputDataError, match=r"not the file that was published.*instead of f73e2a3fe16d"):
        convert(damaged, out=tmp_path / "bad")
    assert not (tmp_path / "bad").exists()
    convert(damaged.rename(tmp_path / "mine.safetensors"), out=tmp_path / "own")


def test_a_known_beginning_of_a_hash_counts_too(tmp_path: Path) -> None:
    file = tmp_path / "densenet121-a639ec97.pth"
    save_file({"features.conv0.weight": torch.ones(1)}, file)
    with pytest.raises(InputDataError, match=r"not the file that was published.*instead of a639ec97"):
        convert(file, out=tmp_path / "out")


def test_a_public_file_that_lost_tensors_says_which(tmp_path: Path) -> None:
    """By the file's name: the layout would not be recognized without its first layer."""
    there = {name for name in shapes("c3d.sports1m_davidea") if not name.startswith("conv1.")}
    file = tmp_path / "c3d.pickle"
    save_file({f"module.{name}": torch.ones(1) for name in there}, file)
    with pytest.raises(
        InputDataError,
        match=r"name of c3d.sports1m_davidea and is not whole: .*lacks 2 of 22 tensors: conv1.weight \(64×3×3×3×3\), "
        r"conv1.bias \(64\)\); get it again \(http.*--map",
    ):
        convert(file, out=tmp_path / "out")


def test_a_public_file_without_a_layout_is_refused_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "bn_inception_rgb_init.caffemodel"
    file.write_bytes(b"\x0a\x04made\xa2\x06\x00")
    monkeypatch.setattr(
        sys.modules["tubelet.weights.convert"], "read_weights", lambda *_, **__: as_file({"x": (1,)}, file)
    )
    with pytest.raises(InputDataError, match=r"fit no network here.*starts a training.*tsn.bn_inception_imagenet"):
        convert(file, out=tmp_path / "out")


def test_options_that_names_and_shapes_do_not_show_come_with_the_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bvlc_alexnet normalizes before it pools; CaffeNet has the same tensors and pools first."""
    asked = []

    def stop(name: str, classes: int, seed: int, **options: object) -> None:
        asked.append(options)
        raise RuntimeError("far enough")

    monkeypatch.setattr(sys.modules["tubelet.weights.convert"], "create_model", stop)
    for name in ("imagenet.alexnet", "imagenet.caffenet"):
        file = as_file(shapes(name), sha256=str(ALL[name].sha256))
        monkeypatch.setattr(sys.modules["tubelet.weights.convert"], "read_weights", lambda *_, file=file, **__: file)
        with pytest.raises(RuntimeError, match="far enough"):
            convert(tmp_path / "renamed.caffemodel", out=tmp_path / "out")
    assert asked == [{"norm_first": True}, {}]
