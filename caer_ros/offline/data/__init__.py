"""The data sets that can be loaded: one module each, one `Sample` for all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from caer_ros.offline.data import affectnet, caer_s, coco, emoset, emotic, heco
from caer_ros.recordings.annotations import own
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from caer_ros.recordings.annotations.sample import Dataset

_MODULES: dict[str, Any] = {
    "emotic": emotic,
    "heco": heco,
    "caer_s": caer_s,
    "affectnet": affectnet,
    "emoset": emoset,
    "coco": coco,
    "own": own,
}

NAMES = tuple(_MODULES)

SPLITS: dict[str, tuple[str, ...]] = {name: module.SPLITS for name, module in _MODULES.items()}
"""Which splits each set has."""


def load(name: str, root: Path | str, split: str) -> Dataset:
    """One split of a data set on disk. Images are not decoded, only their headers read.

    Args:
        name: one of `NAMES`.
        root: the folder that the set was unpacked into; each module's docstring shows what is expected in it.
        split: "train", "val" or "test".

    Raises:
        DatasetError: the set, its split, or any usable image of it is not there, or an annotation is wrong where the
            format is not known to be dirty.
    """
    if name not in _MODULES:
        raise DatasetError(f"no data set is called {name!r}; there are {', '.join(NAMES)}")
    if split not in SPLITS[name]:
        raise DatasetError(f"{name} has no split {split!r}; it has {', '.join(SPLITS[name])}")
    root = Path(root).expanduser()
    if not root.exists():
        raise DatasetError(f"{root}: no such file or folder; download {name} and name the folder that holds it")
    dataset: Dataset = _MODULES[name].load(root, split)
    return dataset
