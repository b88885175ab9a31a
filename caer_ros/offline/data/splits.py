"""Splits of sets that come without one, as lists of image names in text files, so that everybody can use the same."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from caer_ros.recordings import whole_file
from caer_ros.recordings.annotations.files import open_text
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

SPLITS = ("train", "val", "test")
Split = dict[str, list[str]]
"""Image names, sorted, of "train", "val" and "test"."""


def by_persons(persons: Mapping[str, int], seed: int = 0) -> Split:
    """The KA paper's split (section 4.1): images with one person and with several apart, each 70/10/20 at random.

    The order is that of hashes of seed and name: at random, and the same with every version of every library.

    Args:
        persons: number of annotated persons of each image.
        seed: our choice is 0; the paper's is not published.
    """
    split: Split = {name: [] for name in SPLITS}
    for group in (
        [image for image, count in persons.items() if count == 1],
        [image for image, count in persons.items() if count != 1],
    ):
        order = _shuffled(group, seed)
        cuts = [0, round(0.7 * len(order)), round(0.8 * len(order)), len(order)]
        for name, start, end in zip(SPLITS, cuts, cuts[1:], strict=False):
            split[name] += order[start:end]
    return {name: sorted(images) for name, images in split.items()}


def by_test_list(images: Collection[str], test: Iterable[str], seed: int = 0) -> Split:
    """The given images are test; of the others 7 of 8 are train and 1 of 8 is val, at random.

    Raises:
        DatasetError: the list names an image that is not annotated.
    """
    given = set(test)
    stray = sorted(given.difference(images))
    if stray:
        raise DatasetError(f"{len(stray)} images of the test list are not annotated, such as {stray[0]}")
    order = _shuffled([image for image in images if image not in given], seed)
    cut = round(7 / 8 * len(order))
    return {"train": sorted(order[:cut]), "val": sorted(order[cut:]), "test": sorted(given)}


def read_list(file: Path) -> list[str]:
    """Names of images, one a line; empty lines and those that begin with # do not count. Raises DatasetError."""
    with open_text(file) as text:
        lines = text.read().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def write(split: Split, folder: Path, prefix: str = "") -> None:
    """Write ``{prefix}{train,val,test}.txt``, each at once or not at all. Raises OSError."""
    for name, images in split.items():
        whole_file.write_text(folder / f"{prefix}{name}.txt", "".join(f"{image}\n" for image in images))


def read(folder: Path, prefix: str, images: Collection[str]) -> Split | None:
    """The split that was written, or None where there is none.

    Raises:
        DatasetError: it is not a split of ``images``: one is missing, unknown or in two lists.
    """
    files = {name: folder / f"{prefix}{name}.txt" for name in SPLITS}
    if not all(file.is_file() for file in files.values()):
        return None
    split = {name: read_list(file) for name, file in files.items()}
    if sorted(image for listed in split.values() for image in listed) != sorted(images):
        raise DatasetError(
            f"{files['train'].with_name(prefix + '*.txt')}: these lists are not a split of the images that are "
            "annotated now; delete them to have them written anew, or put back the annotations that they were made from"
        )
    return split


def _shuffled(images: Iterable[str], seed: int) -> list[str]:
    return sorted(images, key=lambda image: (sha256(f"{seed} {image}".encode()).digest(), image))
