"""Weights from elsewhere: Caffe, torch and safetensors files read without running what is in them."""

from tubelet.weights.binaryproto import read_mean
from tubelet.weights.convert import convert
from tubelet.weights.first_layer import across_modalities
from tubelet.weights.foreign import ForeignFile, ForeignTensor, Limits, read_weights
from tubelet.weights.inflate import inflated
from tubelet.weights.report import WeightsReport
from tubelet.weights.rules import Keep, Refuse, Rule, WeightMap, apply_map, plan_map
from tubelet.weights.start import start_from

__all__ = [
    "ForeignFile",
    "ForeignTensor",
    "Keep",
    "Limits",
    "Refuse",
    "Rule",
    "WeightMap",
    "WeightsReport",
    "across_modalities",
    "apply_map",
    "convert",
    "inflated",
    "plan_map",
    "read_mean",
    "read_weights",
    "start_from",
]
