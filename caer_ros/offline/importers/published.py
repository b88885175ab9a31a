"""What the authors of BENet and DSCT say about the weights that they publish: source, terms, scores and protocols.

None of it stands in a file of weights, and none of it was measured by us.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caer_ros.perception.person import BoxKind
from caer_ros.taxonomy import LABEL_SETS

if TYPE_CHECKING:
    from caer_ros.offline.systems.benet.config import BenetConfig
    from caer_ros.offline.systems.dsct.config import DsctConfig

DATASETS = {"emotic": "emotic", "caers": "caer_s"}
"""What DSCT was trained on, as ``caer import dsct --dataset`` calls it, and its label set."""


@dataclass(frozen=True, slots=True)
class Published:
    """What is known about published weights beside their entries."""

    label_set: str
    box_kind: BoxKind
    multi_label: bool
    source: str
    """Paper and repository."""
    data: str
    """What it was trained on."""
    licence: str
    """SPDX expression, as the authors state it."""
    terms: str
    """A sentence for the user about licence and data."""
    person: float
    """Lowest score of a person."""
    uncertain: float
    """A top emotion score below it is uncertain."""
    thresholds: str
    """Where both are from."""
    scores: tuple[dict[str, Any], ...]
    """Name, value and protocol of what the authors published; () where nothing is published for this variant."""

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of the network's outputs."""
        return LABEL_SETS[self.label_set]


_BENET_READ = (
    "published by the authors for this variant, not measured here, and not of this file if it is one that you trained: "
    "EMOTIC test with PAMI's body boxes, short side 512, flip; whether of the epoch of lowest validation loss or of "
    "the last is not said"
)
_BENET_EVALUATOR = (
    "; by the authors' evaluator, which reads x1y1x2y2 boxes as x, y, width and height and so finds overlap where "
    "there is less: no number of another evaluator compares"
)
_BENET_SCORES = {
    (False, False, False): (27.22, 49.66, 23.67),
    (True, False, False): (27.49, 49.16, 24.15),
    (True, True, False): (27.73, 51.49, 24.10),
    (True, True, True): (28.75, 51.71, 24.73),
}
"""ER, PD and OER in % by person-centric head, background head and extra data: Tables 1 to 3 of the paper."""


def benet(config: BenetConfig) -> Published:
    """Of BENet's variant with the heads that were trained."""
    trained = config.person_centric, config.background, config.extra_labels > 0
    values = _BENET_SCORES.get(trained, ())
    names = ("ER mAP in %", "PD AP in %", "OER mAP in %")
    protocols = (
        f"{_BENET_READ}; emotions read at the centres of the ground-truth boxes",
        f"{_BENET_READ}; 15 persons at most{_BENET_EVALUATOR}",
        f"{_BENET_READ}; mean over IoU 0.50 to 0.95{_BENET_EVALUATOR}",
    )
    extra = " and HECO, through an adaptor that the robot does not need" if config.extra_labels else ""
    return Published(
        label_set="emotic",
        box_kind=BoxKind.BODY,
        multi_label=True,
        source="Cladière et al., BENet, ACIVS 2023, https://github.com/TristanCladiere/BENet",
        data=f"EMOTIC train (PAMI, body boxes){extra}; backbone initialised on COCO's poses",
        licence="LicenseRef-unknown",
        terms=(
            "BENet's authors give no licence for their weights, and EMOTIC and HECO are given out for research: ask "
            "them before you use the weights"
        ),
        person=0.1,
        uncertain=0.4,
        thresholds=(
            "A person from 0.1 on is the authors' threshold; an emotion is certain from 0.4 on as in their README's "
            "example, not by a measurement"
        ),
        scores=tuple(
            {"name": name, "value": value, "protocol": protocol}
            for name, value, protocol in zip(names, values, protocols, strict=bool(values))
        ),
    )


_DSCT_READ = (
    "published by the authors for their rerun with ResNet-50, not measured here, and not of this file if it is one "
    "that you trained"
)


def dsct(config: DsctConfig, dataset: str) -> Published:
    """Of DSCT on "emotic" or "caers"."""
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
            "protocol": f"{_DSCT_READ}: EMOTIC test, CVPR'17 head boxes, labels of all annotators united; a person is "
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
        "protocol": f"{_DSCT_READ}: CAER-S test, top 1, of the query of highest IoU; epoch chosen on test",
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
