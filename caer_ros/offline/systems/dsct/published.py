"""DSCTs of its authors: their files read into our network, and what they say about them.

What they say about source, terms, scores and protocols does not stand in the files, and was not measured by us.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from caer_ros.offline.importers.entries import read
from caer_ros.offline.importers.imported import Imported, Published, fill, imported
from caer_ros.offline.importers.refused import ImporterError
from caer_ros.offline.systems.dsct import weights
from caer_ros.offline.systems.dsct.graph import DsctGraph
from caer_ros.offline.systems.dsct.network import Dsct
from caer_ros.perception.imaging.resizing import Resize, plan
from caer_ros.perception.person import BoxKind

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.offline.systems.dsct.config import DsctConfig
    from caer_ros.offline.systems.dsct.weights import BackboneName, DatasetName

DATASETS = {"emotic": "emotic", "caers": "caer_s"}
"""What DSCT was trained on, as ``caer import dsct --dataset`` calls it, and its label set."""
SHORT, LONGEST = 800, 1333
"""Pixels of the input's sides in the authors' runs; the coarsest level is 1/64 of them."""
_READ = (
    "published by the authors for their rerun with ResNet-50, not measured here, and not of this file if it is one "
    "that you trained"
)


def published(config: DsctConfig, dataset: str) -> Published:
    """What is published of DSCT on "emotic" or "caers"."""
    ours = "The thresholds are ours: the authors use none, and these were not tried on their data"
    common: dict[str, Any] = {
        "label_set": DATASETS[dataset],
        "source": "Li et al., DSCT, ACM Multimedia 2024, https://github.com/Sampson-Lee/DSCT",
        "licence": "Apache-2.0",
    }
    terms = (
        "DSCT's README says Apache-2.0, but the licence file that it names is not in the repository, and {} is given "
        "out for research: ask them before you use the weights"
    )
    known = config.backbone == "resnet50"
    if dataset == "emotic":
        score = {
            "name": "ER mAP in %",
            "value": 36.21,
            "protocol": f"{_READ}: EMOTIC test, CVPR'17 head boxes, labels of all annotators united; a person is "
            "read off the query of highest IoU, however low; epoch chosen on test. Not comparable with body boxes: "
            "chance is 21.9 here and 17.0 there",
        }
        return Published(
            **common,
            box_kind=BoxKind.HEAD,
            multi_label=True,
            data="EMOTIC train (CVPR'17, head boxes); initialised on COCO",
            terms=terms.format("EMOTIC"),
            person=0.3,
            uncertain=0.3,
            thresholds=ours,
            scores=(score,) if known else (),
        )
    score = {
        "name": "accuracy in %",
        "value": 89.19,
        "protocol": f"{_READ}: CAER-S test, top 1, of the query of highest IoU; epoch chosen on test",
    }
    return Published(
        **common,
        box_kind=BoxKind.FACE,
        multi_label=False,
        data="CAER-S train (faces); initialised on COCO",
        terms=terms.format("CAER-S"),
        person=0.3,
        uncertain=0.4,
        thresholds=f"{ours}; a person's score is the largest class's",
        scores=(score,) if known else (),
    )


def load(path: Path, backbone: BackboneName, dataset: DatasetName, short: int = SHORT) -> Imported:
    """The DSCT of an authors' file.

    Args:
        path: ``checkpoint.pth`` or ``checkpointNNNN.pth``.
        backbone: "resnet50" or "resnet101".
        dataset: "emotic" or "caers", on which it was trained.
        short: the input's shorter side in pixels, the longer at most 5/3 of it; the authors' is 800.

    Raises:
        ImporterError: the file cannot be read, or is no DSCT's of that backbone and data set.
    """
    longest = max(short, round(short * LONGEST / SHORT))
    rule = Resize("short_side", short=short, longest=longest, multiple=DsctGraph.multiple)
    if min(plan(rule, 9, 16).canvas) < DsctGraph.smallest:  # before minutes of work
        raise ImporterError(f"--short {short}: too few pixels for DSCT's coarsest level; take 128 or more")
    entries = read(path)
    config, state, left_over = weights.convert(entries, backbone, dataset)
    known = published(config, dataset)
    network = Dsct(config, len(known.labels))
    fill(network, state, path)
    return imported(entries, network, {"dsct": asdict(config)}, known, rule, left_over, _fusion(config, dataset))


def _fusion(config: DsctConfig, dataset: str) -> tuple[str, ...]:
    """How many context queries are fused stands in the file's own settings, and may be another than published."""
    usual = (100, 50) if dataset == "emotic" else (0, 0)
    found = config.spatial, config.semantic
    if found == usual:
        return ()
    said = "its settings fuse {} near and {} related context queries, where the published runs fuse {} and {}"
    return (said.format(*found, *usual),)
