"""The checkpoint of Deformable DETR on COCO, of that paper's authors, as the beginning of a DSCT's training."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from caer_ros.offline.importers.entries import read
from caer_ros.offline.importers.refused import ImporterError
from caer_ros.offline.systems.dsct.weights import check_shapes, renamed

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.offline.systems.dsct.network import Dsct

_log = logging.getLogger(__name__)


class CocoEntries(NamedTuple):
    """What ``load`` did, by the names of entries."""

    taken: list[str]
    """Entries of the network that are the file's now."""
    left: list[str]
    """Entries of the file that the network has no place for: the heads of COCO's classes and boxes."""
    random: list[str]
    """Entries of the network that stay as they were: the subjects and their heads."""


def load(network: Dsct, path: Path) -> CocoEntries:
    """Initialises a network from a Deformable DETR that was trained on COCO, a checkpoint of that paper's authors.

    As in the authors' code of DSCT, every entry of the same name is taken. COCO's queries become the contexts; subjects
    and both heads stay random. A ResNet-101 takes what a file of ResNet-50 has of it, and a network without contexts
    leaves the queries.

    Raises:
        ImporterError: the file cannot be read, is of another network, or has an entry in another shape.
    """
    found, left = renamed(read(path).tensors, path)
    own = network.state_dict()
    if not network.config.contexts:
        left += [name for name in found if name == "contexts"]
    taken = {name: value for name, value in found.items() if name in own and name not in left}
    left += [name for name in found if name not in own]
    check_shapes(taken, own, path)
    if "level_embeddings" not in taken:
        raise ImporterError(f"{path} is no Deformable DETR: it lacks transformer.level_embed")
    network.load_state_dict(taken, strict=False)
    random = [name for name in own if name not in taken]
    _log.info("%s: %d entries taken, %d left over, %d of the network random", path, len(taken), len(left), len(random))
    return CocoEntries(list(taken), left, random)
