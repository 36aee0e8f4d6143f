"""Which videos, labels, splits and groups: folders of videos read as manifests.

>>> from tubelet.datasets import open_dataset, random_group_split
>>> manifest = random_group_split(open_dataset("folder", "my_videos"), seed=0)  # doctest: +SKIP
>>> manifest.select(split="train").targets  # doctest: +SKIP
"""

from tubelet.datasets.catalog import DATASETS, open_dataset
from tubelet.datasets.manifest import Item, Manifest
from tubelet.datasets.splits import leave_one_group_out, parse_groups, random_group_split, split_by_groups

__all__ = [
    "DATASETS",
    "Item",
    "Manifest",
    "leave_one_group_out",
    "open_dataset",
    "parse_groups",
    "random_group_split",
    "split_by_groups",
]
