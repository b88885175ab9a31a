"""Tables 1 to 3 of BENet's paper, by heads: emotions in annotated boxes, persons found, and both together.

Source: Cladière et al., "BENet: A lightweight bottom-up framework for context-aware emotion recognition", ACIVS 2023.
One training serves all three tables; its heads and pre-transforms are those of its file in config/train.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from caer_ros.offline.reproduction.grids import CHANCE, Column, Grid
from caer_ros.offline.reproduction.laboratory import published_numbers

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.offline.reproduction.laboratory import Laboratory, Scores
    from caer_ros.offline.reproduction.scales import BenetScale
    from caer_ros.offline.systems.benet.config import BenetConfig, BenetTraining
    from caer_ros.recordings.annotations.sample import Dataset

ROWS = {
    "bu": "BU",
    "bu_det": "BU+Det",
    "bu_det_pc": "BU+Det+PC",
    "bu_det_pc_bg": "BU+Det+PC+BG",
    "bu_det_pc_bg_ed": "BU+Det+PC+BG+ED",
}
"""Bottom-up, detection, person-centric and background heads, and extra data (HECO); ends of names in config/train."""
TABLES = {1: ("emotic",), 2: ("emotic",), 3: ("emotic",)}
"""The tables that can be made, and of which data sets."""
THRESHOLDS = tuple(f"{hundredths / 100:.2f}" for hundredths in range(50, 100, 5))
"""Thresholds of the IoU, as in Table 3."""
AUTHORS_IOU = "by the authors' IoU"

CHOICE = (
    "Ours: the epoch of the lowest validation loss, mean with the mirrored image. Published: likewise mirrored, but of "
    "the best and the last epoch whichever does better on test."
)
MEAN_WITH_PC = (
    "Mean with PC: a pass for each person's crop too (Table 4). The paper does not say of which training its 29.30 is; "
    "it stands beside the last."
)
INFLATED = (
    "By the authors' IoU: their evaluator takes corners for sizes, which inflates the IoU. The published "
    "numbers are of that kind, so they stand there alone."
)
START = (
    "Ours begin at random; the paper begins with HigherHRNet-W32's COCO pose weights, which its authors publish: "
    "--weights FILE."
)


def grid(number: int, data: str = "emotic") -> Grid:
    """One table; ``number`` is a key of ``TABLES``."""
    paper = published()
    if number == 1:
        columns: tuple[Column, ...] = (Column("er", "mAP"), Column("er_mean", "mean with PC"))
        title, rows, notes = "ER in annotated boxes, mAP", ROWS, (CHOICE, MEAN_WITH_PC)
    else:
        rows = {name: title for name, title in ROWS.items() if name != "bu"}
        notes = (CHOICE, INFLATED)
        if number == 2:
            title, columns = "person detection, AP", (Column("pd", "AP"), Column("pd_benet_compat", AUTHORS_IOU))
        else:
            title = "OER by IoU threshold, mAP"
            columns = (
                *(Column(f"oer_{threshold}", threshold, brief=True) for threshold in THRESHOLDS),
                Column("oer", "Avg."),
                Column("oer_benet_compat", f"Avg., {AUTHORS_IOU}"),
            )
    return Grid(number, f"BENet, {title}", data, rows, next(iter(rows)), columns, paper, notes, chance=number != 2)


def published() -> dict[str, Scores]:
    """The paper's numbers in percent: Tables 1 and 2, the averages of Table 3, and 29.30 of Table 4."""
    numbers = published_numbers("benet")
    blocks = {"er": numbers["er"], "pd_benet_compat": numbers["pd"], "oer_benet_compat": numbers["oer"]}
    found = {row: {name: float(block[row]) for name, block in blocks.items() if row in block} for row in ROWS}
    found["bu_det_pc_bg_ed"]["er_mean"] = float(numbers["er"]["bu_pc_mean"])
    return found


def scores(laboratory: Laboratory[BenetScale], row: str, data: str, seed: int) -> Scores:
    """Train one row and measure it on the test split."""
    folder = laboratory.output / data / row / f"seed{seed}"

    def work() -> Scores:
        from caer_ros.offline.training.run import train

        trained = train(config(laboratory, row, data, seed, folder))
        return measure(trained.best, laboratory.load(data, "test"), laboratory.device)

    return laboratory.scores(folder, work)


def config(laboratory: Laboratory[BenetScale], row: str, data: str, seed: int, folder: Path) -> BenetTraining:
    """The training of one row: that of config/train, of this scale's size and length."""
    from caer_ros.offline.systems.benet.config import BenetTraining
    from caer_ros.offline.training.configuration import read

    scale = laboratory.scale
    base = read(f"benet_{row}")
    assert isinstance(base, BenetTraining)
    recipe = base.benet_recipe
    extra = recipe.extra
    if extra is not None:
        extra = replace(extra, name=laboratory.format(extra.name), root=str(laboratory.root(extra.name)))
    optimiser = base.optimiser
    if scale.learning_rate is not None:
        optimiser = replace(optimiser, learning_rate=scale.learning_rate, schedule=scale.schedule)
    changed = replace(
        base,
        output=str(folder),
        data=replace(base.data, size=(scale.size, scale.size)),
        benet=_sized(base.benet, scale.network),
        benet_recipe=replace(recipe, weights=str(laboratory.start) if laboratory.start else None, extra=extra),
        optimiser=optimiser,
    )
    return laboratory.here(changed, data, laboratory.root(data), seed, scale.epochs)


def measure(checkpoint: Path, test: Dataset, device: str) -> Scores:
    """Everything of the three tables that the network has heads for, in percent, mean with the mirrored image."""
    from caer_ros.offline.evaluation.predict import predict_checkpoint
    from caer_ros.offline.metrics.detection import pd, pd_benet_compat
    from caer_ros.offline.metrics.emotion_recognition import er
    from caer_ros.offline.metrics.joined import join
    from caer_ros.offline.metrics.on_the_field import oer, oer_benet_compat
    from caer_ros.offline.systems.benet.network import Benet
    from caer_ros.offline.systems.benet.person_centric import refined
    from caer_ros.offline.training.checkpoint import load_network

    network, card = load_network(checkpoint)
    assert isinstance(network, Benet)
    predictions = predict_checkpoint(checkpoint, test.samples, device, manners=("flip",))
    joined = join(test.samples, predictions)
    recognition = er(joined)
    found = {"er": recognition.mean_average_precision, CHANCE: recognition.chance}
    if network.config.person_centric:
        both = refined(network, predictions, test.samples, flip=True, short=card.resize.short)
        found["er_mean"] = er(join(test.samples, both)).mean_average_precision
    if network.config.detection:
        field = oer(joined)
        found |= {f"oer_{name}": value for name, value in zip(THRESHOLDS, field.by_threshold, strict=True)}
        found |= {"oer": field.mean_average_precision, "pd": pd(joined).ap}
        found["oer_benet_compat"] = oer_benet_compat(joined).mean_average_precision
        found["pd_benet_compat"] = pd_benet_compat(joined).ap
    return {name: 100 * float(value) for name, value in found.items()}


def _sized(heads: BenetConfig, size: BenetConfig) -> BenetConfig:
    return replace(heads, width=size.width, modules=size.modules, blocks=size.blocks)
