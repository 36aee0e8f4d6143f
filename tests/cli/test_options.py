"""Options that verbs share."""

from __future__ import annotations

import json

import pytest
import torch

from tubelet.cli.options import choose_device, one_of, print_json, say
from tubelet.errors import UsageError


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert choose_device("auto") == device
        assert choose_device("cpu") == "cpu"
    with pytest.raises(UsageError, match="no CUDA device is available; use --device cpu"):
        choose_device("cuda")
    with pytest.raises(UsageError, match="--device cannot be 'tpu'; use one of auto, cpu, cuda"):
        choose_device("tpu")


def test_a_choice_lists_the_others() -> None:
    assert one_of("net", ("net", "svm"), "--head") == "net"
    with pytest.raises(UsageError, match="--head cannot be 'both'; use one of net, svm"):
        one_of("both", ("net", "svm"), "--head")


def test_json_goes_to_standard_output_and_words_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"größe": [1, None]})
    say("a remark")
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"größe": [1, None]}
    assert captured.err == "a remark\n"
    with pytest.raises(ValueError, match="JSON"):
        print_json(float("nan"))
    assert capsys.readouterr().out == "", "nothing is printed by halves"
