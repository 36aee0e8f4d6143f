from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tubelet.errors import NumericalError, TubeletError, UsageError
from tubelet.models import check_gradients, create_model, precision, precision_child
from tubelet.models.layers import Conv3d

has_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
needs_bf16 = pytest.mark.skipif(not has_bf16, reason="this processor has neither avx512_bf16 nor amx")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUBELET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "precision"


@needs_bf16
def test_small_net_passes_in_bf16_and_is_kept(home: Path) -> None:
    model = create_model("c3d_small", 5, width=0.125, side=28)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    report = check_gradients(model, dtype="bfloat16", memory_format="channels_last_3d")
    report.require()
    assert report.ok
    assert not report.cached
    assert [name for layer in report.layers for name in layer.names] == [
        "conv1a", "conv2a", "conv3a", "conv4a", "conv5a", "fc6", "fc7", "fc8",
    ]  # fmt: skip
    for layer in report.layers:
        # bfloat16 has 8 significant bits: half of 2^-8 per rounding, and no less than float32 could do.
        limit = (1e-8, 1e-5) if layer.names == ("conv5a",) else (1e-4, 2e-2)
        assert all(limit[0] < error < limit[1] for error in layer.errors.values()), layer
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    again = check_gradients(model, dtype="bfloat16", memory_format="channels_last_3d")
    assert again.cached
    assert again == report
    assert "agrees with float64" in again.sentence
    assert len(list(home.glob("*.json"))) == 1
    assert precision._kept(next(iter(home.iterdir())), 3) is None


@needs_bf16
def test_torchs_own_layers_fail_and_the_others_are_still_checked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Writing outside its memory can end a process or make it run forever; the test does not wait long for that.
    monkeypatch.setattr(precision, "_LAYER_CPU_S", 5)
    model = nn.Sequential(
        nn.Conv3d(8, 16, (7, 3, 3), padding=(3, 1, 1)),  # T = 4 under 7: writes outside its memory
        nn.Conv3d(16, 16, 3, padding=1, stride=(2, 1, 1)),
        nn.Conv3d(16, 16, 3, padding=1),  # T = 2 under 3
        Conv3d(16, 16, 3, padding=1),
        nn.Flatten(),
        nn.Linear(16 * 2 * 25, 3),
    )
    report = check_gradients(model, dtype="bfloat16", input_shape=(8, 4, 5, 5))
    if torch.__version__.split("+")[0] != "2.13.0":
        pytest.skip("the trap is known for torch 2.13.0")
    problems = {name: layer.problem for layer in report.layers for name in layer.names}
    assert problems["0"]
    assert problems["2"]
    assert problems["1"] is problems["3"] is problems["5"] is None
    assert not report.ok
    with pytest.raises(NumericalError, match="wrong on this machine"):
        report.require()
    assert "disagrees with float64 in 0 (7×3×3 to 16 on 8×4×5×5)" in report.sentence
    assert not home.exists()


def test_float32_passes_and_the_cache_can_be_left_alone(home: Path) -> None:
    model = create_model("c3d_depth7", 3, width=0.0625, side=20)
    report = check_gradients(model, dtype="float32", memory_format="channels_last_3d", cache=False)
    assert report.ok
    assert max(error for layer in report.layers for error in layer.errors.values()) < 1e-5
    assert not home.exists()


def test_a_process_that_dies_names_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    deaths = iter([2, 0])

    def child(request: dict[str, object]) -> tuple[list[dict[str, object]], str | None]:
        layers = request["layers"]
        assert isinstance(layers, list)
        good = {"method": "float64", "errors": {"forward": {"relative": 1e-7, "largest": 1e-6}}}
        died = next(deaths)
        if not died:
            return [m for i in range(len(layers)) for m in ({"begins": i}, {"ends": i, **good})], None
        return [{"begins": 0}, {"ends": 0, **good}, {"begins": 1}], "the process died (signal 11)"

    monkeypatch.setattr(precision, "_child", child)
    report = check_gradients(create_model("c3d_small", 3, width=0.0625), dtype="float32", cache=False)
    assert [layer.problem for layer in report.layers] == [
        None, "the process died (signal 11)", *[None] * 6,
    ]  # fmt: skip


def test_a_process_that_hangs_is_killed_and_the_others_are_still_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung = tmp_path / "hung"
    program = tmp_path / "python"
    found = {"method": "float64", "errors": {"forward": {"relative": 1e-7, "largest": 1e-6}}}
    program.write_text(
        "#!/bin/sh\ncat > /dev/null\n"
        f"if [ ! -e {hung} ]; then touch {hung}; echo '{{\"begins\": 0}}'; exec sleep 600; fi\n"
        f"echo '{{\"begins\": 0}}'; echo '{json.dumps({'ends': 0, **found})}'; exit 0\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(precision.sys, "executable", str(program))
    monkeypatch.setattr(precision, "_LAYER_S", 0.5)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))
    report = check_gradients(model, dtype="float32", input_shape=(1, 1, 1, 3), cache=False)
    assert [layer.problem for layer in report.layers] == ["it took too long", None]


def test_a_process_that_computes_forever_is_ended_by_its_processor_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by the clock, which would also end a right layer on a busy machine: the clock's limit is far away here."""
    program = tmp_path / "python"
    program.write_text(
        f"#!{sys.executable}\nimport json, sys\nfrom tubelet.models import precision_child\n"
        "def check_layer(*layer, **named):\n    while True:\n        pass\n"
        "precision_child.check_layer = check_layer\nprecision_child.main()\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(precision.sys, "executable", str(program))
    monkeypatch.setattr(precision, "_LAYER_CPU_S", 0.1)
    report = check_gradients(nn.Linear(3, 4), dtype="float32", input_shape=(1, 1, 1, 3), cache=False)
    assert [layer.problem for layer in report.layers] == ["it took too long"]


def test_a_check_that_does_not_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision.sys, "executable", "/bin/false")
    with pytest.raises(TubeletError, match="does not start"):
        check_gradients(create_model("c3d_small", 3, width=0.0625), cache=False)


def test_values_that_are_not_finite_fail() -> None:
    layer = {"kind": "linear", "input_shape": [2, 3], "settings": {}}
    use = precision.LayerUse("fc", "linear", (2, 3), (2, 4), 16, 12, {"out_features": 4})
    outcome = {"method": "float64", "errors": {"weight": {"relative": -1.0, "largest": -1.0}}}
    check = precision._judge([use], outcome, "bfloat16")
    assert check.problem == "weight gradient off by inf, at most inf"
    assert check.errors == {"weight": float("inf")}
    assert layer


def test_one_wrong_value_among_many_fails() -> None:
    exact = torch.randn(1000, 100)
    wrong = exact.clone()
    wrong[5, 5] += 1
    found = precision_child._difference(wrong, exact)
    assert found["relative"] == pytest.approx(1 / exact.double().norm().item())
    assert found["largest"] == pytest.approx(1, rel=0.02)  # values of size 1
    use = precision.LayerUse("fc", "linear", (2, 3), (2, 4), 16, 12, {"out_features": 4})
    assert precision._judge([use], {"method": "", "errors": {"weight": found}}, "bfloat16").problem
    wrong[5, 5] = float("nan")
    assert precision_child._difference(wrong, exact) == {"relative": -1.0, "largest": -1.0}


def test_dear_layers_are_cropped_in_space_only(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = {
        "kind": "conv3d",
        "input_shape": [2, 4, 4, 24, 20],
        "settings": {
            "in_channels": 4, "out_channels": 4, "kernel_size": [3, 3, 3], "stride": [1, 1, 1],
            "padding": [1, 1, 1], "dilation": [1, 1, 1], "groups": 1, "bias": True, "ours": True,
        },
    }  # fmt: skip
    whole = precision_child.check_layer(layer, "float32", torch.channels_last_3d, seed=0)
    assert whole["method"] == "float64"
    monkeypatch.setattr(precision_child, "FLOAT64_LIMIT", 2 * 4 * 24 * 20 * 4 * 4 * 27 // 4)
    cropped = precision_child.check_layer(layer, "float32", torch.channels_last_3d, seed=0)
    assert cropped["method"] == "float64 on 12×10 pixels, float32 on all"
    assert set(cropped["errors"]) == {"forward", "weight", "bias", "input"}
    assert all(0 <= error["relative"] < 1e-5 for error in cropped["errors"].values())


def test_child_speaks_json_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import io

    layer = {
        "kind": "linear", "input_shape": [2, 3],
        "settings": {"in_features": 3, "out_features": 4, "bias": False},
    }  # fmt: skip
    request = {"layers": [layer], "dtype": "float32", "memory_format": "contiguous", "threads": 1}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(request)))
    threads = torch.get_num_threads()
    precision_child.main()
    torch.set_num_threads(threads)
    begins, ends = map(json.loads, capsys.readouterr().out.splitlines())
    assert begins == {"begins": 0}
    assert ends["ends"] == 0
    assert set(ends["errors"]) == {"forward", "weight", "input"}


def test_misuse_is_said() -> None:
    model = create_model("c3d_small", 3, width=0.0625)
    with pytest.raises(UsageError, match="no gradient check for 'float16'"):
        check_gradients(model, dtype="float16")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no gradient check"):
        check_gradients(model, memory_format="channels_last")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="batch=1"):
        check_gradients(model, 1)
    with pytest.raises(UsageError, match="input_shape"):
        check_gradients(nn.Sequential())


def test_unusable_cache_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TUBELET_CACHE", str(tmp_path / "file"))
    good = {"ends": 0, "method": "float64", "errors": {"forward": {"relative": 1e-7, "largest": 1e-6}}}
    monkeypatch.setattr(precision, "_child", lambda request: ([{"begins": 0}, good], None))
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    assert check_gradients(model, dtype="float32", input_shape=(3, 1, 2, 2)).ok
