"""All networks by name: a literal table, whose modules are imported when a network is asked for."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable
from fnmatch import fnmatchcase
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tubelet.errors import UsageError
from tubelet.models.info import ModelInfo
from tubelet.models.options import suggestion

if TYPE_CHECKING:
    from tubelet.models.contract import VideoModel

_log = logging.getLogger(__name__)

# name → "module:function". The function takes (name, num_classes, *, options) and returns the network.
_BUILDERS = {
    "alexnet": "tubelet.models.alexnet:alexnet",
    "alexnet_owt": "tubelet.models.alexnet_owt:alexnet_owt",
    "c3d": "tubelet.models.c3d:c3d",
    "c3d_decreasing": "tubelet.models.search_nets:search_net",
    "c3d_depth1": "tubelet.models.search_nets:search_net",
    "c3d_depth3": "tubelet.models.search_nets:search_net",
    "c3d_depth5": "tubelet.models.search_nets:search_net",
    "c3d_depth7": "tubelet.models.search_nets:search_net",
    "c3d_increasing": "tubelet.models.search_nets:search_net",
    "c3d_small": "tubelet.models.search_nets:c3d_small",
    "conv_pooling": "tubelet.models.beyond_short_snippets:conv_pooling",
    "deepvideo_early": "tubelet.models.deepvideo:deepvideo_early",
    "deepvideo_late": "tubelet.models.deepvideo:deepvideo_late",
    "deepvideo_multires": "tubelet.models.deepvideo:deepvideo_multires",
    "deepvideo_single": "tubelet.models.deepvideo:deepvideo_single",
    "deepvideo_slow": "tubelet.models.deepvideo:deepvideo_slow",
    "densenet3d_121": "tubelet.models.densenet3d:densenet3d",
    "densenet3d_169": "tubelet.models.densenet3d:densenet3d",
    "densenet_121": "tubelet.models.densenet:densenet",
    "densenet_169": "tubelet.models.densenet:densenet",
    "lrcn": "tubelet.models.lrcn:lrcn",
    "lstm_composite": "tubelet.models.lstm_composite:lstm_composite",
    "lstm_pooling": "tubelet.models.beyond_short_snippets:lstm_pooling",
    "mc2_18": "tubelet.models.res3d_mixed:mixed",
    "mc3_18": "tubelet.models.res3d_mixed:mixed",
    "mc4_18": "tubelet.models.res3d_mixed:mixed",
    "mc5_18": "tubelet.models.res3d_mixed:mixed",
    "p3d_131": "tubelet.models.p3d:p3d",
    "p3d_199": "tubelet.models.p3d:p3d",
    "p3d_63": "tubelet.models.p3d:p3d",
    "r2d_18": "tubelet.models.res3d_mixed:r2d",
    "r2d_34": "tubelet.models.res3d_mixed:r2d",
    "r2plus1d_18": "tubelet.models.r2plus1d:r2plus1d",
    "r2plus1d_34": "tubelet.models.r2plus1d:r2plus1d",
    "res3d_18": "tubelet.models.res3d:res3d",
    "res3d_34": "tubelet.models.res3d:res3d",
    "rmc2_18": "tubelet.models.res3d_mixed:mixed",
    "rmc3_18": "tubelet.models.res3d_mixed:mixed",
    "rmc4_18": "tubelet.models.res3d_mixed:mixed",
    "rmc5_18": "tubelet.models.res3d_mixed:mixed",
    "squeezenet": "tubelet.models.squeezenet:squeezenet",
    "squeezenet1_1": "tubelet.models.squeezenet:squeezenet",
    "sr10": "tubelet.models.res3d:sr",
    "sr16": "tubelet.models.res3d:sr",
    "sr18": "tubelet.models.res3d:sr",
    "sr26": "tubelet.models.res3d:sr",
    "sr34": "tubelet.models.res3d:sr",
    "t3d_121": "tubelet.models.t3d:t3d",
    "t3d_169": "tubelet.models.t3d:t3d",
    "tsn_bn_inception": "tubelet.models.tsn:tsn_bn_inception",
    "tsn_resnet101": "tubelet.models.tsn:tsn_resnet",
    "tsn_resnet152": "tubelet.models.tsn:tsn_resnet",
    "tsn_resnet50": "tubelet.models.tsn:tsn_resnet",
    "tsn_squeezenet": "tubelet.models.tsn:tsn_squeezenet",
    "two_stream_spatial": "tubelet.models.two_stream:two_stream_spatial",
    "two_stream_temporal": "tubelet.models.two_stream:two_stream_temporal",
}

DEFAULT_CLASSES = 101  # UCF101, on which the papers' networks are compared


def list_models(pattern: str = "*") -> list[str]:
    """Names of all networks that match a shell pattern such as ``"*3d*"``, sorted."""
    return [name for name in sorted(_BUILDERS) if fnmatchcase(name, pattern)]


def model_options(name: str) -> dict[str, Any]:
    """A network's keyword options with their defaults.

    Raises
    ------
    UsageError
        If there is no such network.
    """
    parameters = inspect.signature(_builder(name)).parameters.values()
    return {option.name: option.default for option in parameters if option.kind is option.KEYWORD_ONLY}


def create_model(
    name: str,
    num_classes: int | None = None,
    weights: str | os.PathLike[str] | None = None,
    *,
    seed: int = 0,
    **options: Any,
) -> VideoModel:
    """Build a network, with starting weights or with those of a model folder.

    Parameters
    ----------
    name
        One of `list_models`.
    num_classes
        Outputs of the classifier; default 101, or as in ``weights``. If it differs from that folder's, the
        classifier starts fresh (from ``seed``) and the log says so.
    weights
        A folder that ``model.save`` wrote; None for starting weights after the paper.
    seed
        What the starting weights depend on, and nothing else: the global random state is neither read nor
        changed. ``model.weights_id`` is ``untrained:<seed>`` until something changes a weight.
    **options
        The network's options (`model_options`); those not given are the network's defaults, or the
        folder's.

    Returns
    -------
    VideoModel
        In training mode, float32, on the CPU.

    Raises
    ------
    UsageError
        If the name, an option or its value is unknown, or the folder holds another network.
    InputDataError
        If the folder cannot be read.

    Examples
    --------
    >>> model = create_model("c3d_small", num_classes=10)
    >>> single_frame = create_model("c3d_small", num_classes=10, depth=1, clip_length=1)
    """
    if weights is None:
        model = build_meta(name, DEFAULT_CLASSES if num_classes is None else num_classes, options)
        model.to_empty(device="cpu")
        model.initialize(_checked_seed(seed))
        return model
    from tubelet.models.folder import load_model, read_config

    _builder(name)
    config = read_config(weights)
    if config.name != name:
        raise UsageError(
            f"the model folder holds {config.name!r}, not {name!r}",
            path=weights,
            remedy=f"ask for {config.name!r}, or choose another folder",
        )
    model = load_model(weights, **options)
    model.train()
    if num_classes is not None and num_classes != model.num_classes:
        before = model.num_classes
        model.reset_head(num_classes, _checked_seed(seed))
        _log.warning(
            "%s: the classifier of %s has %d outputs; a fresh one with %d starts from seed %d",
            name,
            os.fspath(weights),
            before,
            num_classes,
            seed,
        )
    return model


def model_info(name: str, num_classes: int = DEFAULT_CLASSES, **options: Any) -> ModelInfo:
    """Facts of a network with these options, computed on it without allocating its weights.

    ``print`` shows them as ``tubelet models NAME`` does.

    Raises
    ------
    UsageError
        As for `create_model`.
    """
    return info_of(build_meta(name, num_classes, options))


def info_of(model: VideoModel) -> ModelInfo:
    """The facts of a network that is there, on any device; its weights are not read."""
    from tubelet.models.counts import WholePass, attention_macs, norm_parameters, recording, run_without_computing
    from tubelet.models.huggingface.network import HuggingFaceNetwork
    from tubelet.models.receptive_field import receptive_fields

    fields, products = [], 0
    if isinstance(model, HuggingFaceNetwork):  # its values see everything, or what no function says
        with recording(model) as work:
            total = run_without_computing(WholePass(model), (1, *model.input.shape))
        products = attention_macs(total, work)
    else:
        with recording(model) as work:
            fields = list(receptive_fields(model).values())
    layers = tuple(work.uses)
    return ModelInfo(
        name=model.name,
        num_classes=model.num_classes,
        options=model.options,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        macs=sum(layer.macs for layer in layers) + products,
        input=model.input,
        layer_names=model.layer_names,
        layers=layers,
        norm_parameters=norm_parameters(model),
        activation_bytes=work.activation_bytes,
        receptive_field=fields[-1].size if fields else None,
        paper=model.paper,
        source=model.source,
        attention_macs=products,
    )


def build_meta(name: str, num_classes: int, options: dict[str, Any]) -> VideoModel:
    """The network on PyTorch's ``meta`` device: all shapes, no memory, no random numbers drawn."""
    import torch

    builder = _builder(name)
    known = model_options(name)
    for option in options:
        if option not in known:
            raise UsageError(f"{name} has no option {option!r}", remedy=suggestion(option, known, "its options are"))
    try:
        with torch.device("meta"):
            return builder(name, num_classes, **options)
    except (RuntimeError, ValueError, OverflowError) as error:
        # Sizes beyond what a tensor can have: PyTorch's words go on for pages.
        raise UsageError(
            f"{name} cannot be built with {options}",
            why=str(error).partition("\n")[0],
            remedy="make it smaller",
        ) from error


def _builder(name: str) -> Callable[..., VideoModel]:
    if name.startswith("hf:"):
        raise UsageError(
            f"{name} is a network of Hugging Face, which is not built or trained here",
            remedy="describe videos with its folder (tubelet extract --model, tubelet evaluate descriptors --model)",
        )
    if name not in _BUILDERS:
        raise UsageError(f"there is no model {name!r}", remedy=suggestion(name, sorted(_BUILDERS), "the models are"))
    module, function = _BUILDERS[name].split(":")
    builder: Callable[..., VideoModel] = getattr(import_module(module), function)
    return builder


def _checked_seed(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UsageError(f"seed={seed!r} is not a whole number of at least 0")
    return seed
