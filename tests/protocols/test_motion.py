"""The motion study: four nets that differ in what they can see, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tubelet.datasets.manifest import Manifest
from tubelet.models.registry import create_model
from tubelet.protocols import motion
from tubelet.protocols.motion import NETS, motion_settings, run_motion_study
from tubelet.protocols.rounds import RoundSettings
from tubelet.video.synthetic import MOTION_CLASSES, TEXTURES


def test_the_nets_differ_in_their_temporal_kernels_alone() -> None:
    found = {}
    for net in NETS:
        model = create_model("c3d_small", 10, **motion_settings(net, 100, 0, 1).options)
        kernels = {module.kernel_size[0] for name, module in model.named_modules() if name.startswith("conv")
                   and hasattr(module, "kernel_size")}  # fmt: skip
        found[net.key] = (kernels, model.input.clip_length, net.label_column)
    assert found == {
        "depth3": ({3}, 16, "label"),
        "depth1": ({1}, 16, "label"),
        "frame": ({1}, 1, "label"),
        "texture": ({1}, 1, "texture"),
    }


def test_all_are_trained_alike_and_never_mirrored() -> None:
    settings = {net.key: motion_settings(net, 123, 4, 2) for net in NETS}
    assert len({values.train for values in settings.values()}) == 1
    train = settings["depth3"].train
    assert (train.iterations, train.seed, train.workers) == (123, 4, 2)
    # A mirrored "left" is a "right": neither the recipe nor the jitter may flip.
    assert not any(values.recipe.flip for values in settings.values())
    assert train.jitter.flip_p == 0
    assert [key for key, values in settings.items() if values.with_svm] == ["depth3"]


def test_each_net_gets_its_labels_and_its_own_folder(
    motion_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[Manifest, Manifest, RoundSettings, Path]] = []

    class Found:
        results = ()

    def train_and_test(
        training: Manifest, test: Manifest, settings: RoundSettings, folder: Path, *, device: str
    ) -> Found:
        calls.append((training, test, settings, folder))
        return Found()

    said: list[str] = []
    monkeypatch.setattr(motion, "train_and_test", train_and_test)
    found = run_motion_study(motion_folder, tmp_path, steps=5, seed=1, workers=1, say=said.append)
    assert list(found) == [net.key for net in NETS]
    for net, (training, test, settings, folder) in zip(NETS, calls, strict=True):
        assert (len(training), len(test)) == (20, 10)
        assert not set(training.files()) & set(test.files())
        wanted = TEXTURES if net.key == "texture" else MOTION_CLASSES
        assert set(training.classes) <= set(wanted)
        assert settings.train.iterations == 5
        assert folder == tmp_path / net.key
    assert [line.partition(":")[0] for line in said] == [net.title for net in NETS]
    assert all("expected" in line for line in said)
