"""Does context help? A student that sees the whole image, against the same network that sees one person's crop.

Synthetic images in which face and posture tell little, and the scene tells nothing, half or everything. Both models
have the same architecture, input size and training, so the crop model spends the student's whole compute on each
person. The generator knows the best that any model could reach, with the scene and from the person alone.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from caer_ros import taxonomy
from caer_ros.offline import data as datasets
from caer_ros.offline.data.synthetic import cues, drawn_truth, folders
from caer_ros.offline.reproduction.laboratory import split_sizes
from caer_ros.offline.reproduction.seeds import Estimate, difference_in_words, estimate, in_words, paired
from caer_ros.offline.reproduction.trainings import measure
from caer_ros.recordings import whole_file
from caer_ros.recordings.annotations import image_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

    from caer_ros.offline.reproduction.trainings import StudentLaboratory
    from caer_ros.recordings.annotations.sample import Dataset

SCENE = (0.0, 0.5, 1.0)
"""How much the scene tells, in steps of the study."""
FACE, POSTURE = 0.3, 0.8
"""How much a person alone tells: enough to learn from soon, and so little that a scene can add to it."""


@dataclass(frozen=True, slots=True)
class Point:
    """One step of the dial, in percent; lists have one value a seed."""

    scene: float
    student: list[float]
    crops: list[float]
    best: float
    """What perfect perception of face, posture and scene reaches on this very test split."""
    best_alone: float
    """The same from face and posture alone."""

    @property
    def gain(self) -> Estimate:
        """Gain of the student over the crop model, paired by seed."""
        return paired(self.student, self.crops)


def run(laboratory: StudentLaboratory, console: Console, as_json: bool) -> int:
    """Train, print, and write context.json and context.png into the output folder."""
    points = [_point(laboratory, scene) for scene in SCENE]
    console.print(lay_out(points))
    console.print(f"{compute(laboratory):.2f} GFLOPs for each image (student), and for each person (crops)")
    content = json.dumps([_plain(point) for point in points], indent=1)
    (laboratory.output / "context.json").write_text(content, "utf8")
    draw(points, laboratory.output / "context.png")
    if as_json:
        print(content)
    console.print(f"{laboratory.output}: every run, context.json and context.png")
    return 0


def lay_out(points: Sequence[Point]) -> Table:
    """One row a step of the dial."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, title="Emotion recognition by what the scene tells; mAP in percent")
    for column in ("scene", "student", "crops", "gain", "best possible", "best from the person alone"):
        table.add_column(column)
    for point in points:
        table.add_row(
            f"{point.scene:g}",
            in_words(estimate(point.student)),
            in_words(estimate(point.crops)),
            difference_in_words(point.gain),
            f"{point.best:.2f}",
            f"{point.best_alone:.2f}",
        )
    return table


def draw(points: Sequence[Point], path: Path) -> None:
    """The curves over the dial, as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    dial = [point.scene for point in points]
    axes.plot(dial, [point.best for point in points], "k--", label="best possible")
    axes.plot(dial, [point.best_alone for point in points], "k:", label="best from the person alone")
    for name, label in (("student", "student, whole image"), ("crops", "person crops")):
        values = [estimate(getattr(point, name)) for point in points]
        spread = [0.0 if value.n == 1 else value.sd for value in values]
        axes.errorbar(dial, [value.mean for value in values], spread, marker="o", capsize=3, label=label)
    axes.set(xlabel="what the scene tells (dial)", ylabel="mAP, percent", ylim=(0, None))
    axes.legend()
    figure.savefig(path, dpi=120)


def compute(laboratory: StudentLaboratory) -> float:
    """GFLOPs of the network at the study's input size."""
    import torch

    from caer_ros.offline.systems.components.description import describe
    from caer_ros.offline.systems.ka import networks
    from caer_ros.offline.systems.ka.config import ModelConfig

    scale = laboratory.scale
    model = ModelConfig(scale.backbone, None, scale.head_width, scale.head_blocks, detection=False)
    network = networks.build("student", model, len(taxonomy.HECO))
    return describe(network, torch.zeros(1, 3, scale.size, scale.size))[-1].gflops


def _point(laboratory: StudentLaboratory, scene: float) -> Point:
    """Both models for every seed."""
    measured = [_measured(laboratory, scene, seed) for seed in range(laboratory.scale.seeds)]
    best, best_alone = (float(np.mean([values[name] for values in measured])) for name in ("best", "best_alone"))
    student, crops = ([values[name] for values in measured] for name in ("student", "crops"))
    return Point(scene, student, crops, best, best_alone)


def _measured(laboratory: StudentLaboratory, scene: float, seed: int) -> dict[str, float]:
    """Render, train both, and measure; or what an earlier call found. Each seed has images of its own."""
    folder = laboratory.output / f"scene{scene:g}" / f"seed{seed}"
    scores = folder / "scores.json"
    if not scores.is_file():
        laboratory.say(f"scene {scene:g}, seed {seed}")
        root = folder / "data"
        if not (root / drawn_truth.FILE).is_file():  # written last
            shutil.rmtree(root, ignore_errors=True)
            sizes = split_sizes(laboratory.scale.images, folders.FORMATS["heco"].splits)
            settings = replace(laboratory.scale.pictures, dials=cues.Dials(FACE, POSTURE, scene))
            folders.write("heco", root, sizes, settings, seed, processes=2)
        whole = {split: datasets.load("heco", root, split) for split in ("train", "val", "test")}
        cut = {split: crops(data, folder / "crops_data") for split, data in whole.items()}
        found = {
            "student": _train(laboratory, folder / "student", root, seed, whole),
            "crops": _train(laboratory, folder / "crops", root, seed, cut),
            **_bounds(root),
        }
        whole_file.write_text(scores, json.dumps(found))
    result: dict[str, float] = json.loads(scores.read_text("utf8"))
    return result


def _train(laboratory: StudentLaboratory, folder: Path, root: Path, seed: int, data: dict[str, Dataset]) -> float:
    """Train a student without detection; its ER in percent."""
    from caer_ros.offline.training.run import train

    config = laboratory.config(folder, "heco", root, "student", seed, laboratory.scale.epochs)
    config = replace(config, model=replace(config.model, detection=False))
    best = train(config, (data["train"], data["val"])).best
    return measure(best, data["test"], detection=False)["er"]


def crops(data: Dataset, folder: Path) -> Dataset:
    """The same persons, each cut out into a picture of its own in ``folder``, which the box fills."""
    samples = []
    for sample in data.samples:
        pixels = image_files.read(sample.path)
        for index, box in enumerate(sample.boxes):
            left, top, right, bottom = np.rint(box).astype(int).tolist()
            part = pixels[top : max(bottom, top + 1), left : max(right, left + 1)]
            path = folder / data.split / f"{sample.path.stem}_{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), part[..., ::-1])
            height, width = part.shape[:2]
            person = {name: getattr(sample, name)[index : index + 1] for name in PER_PERSON}
            whole = person | {"boxes": np.array([[0, 0, width, height]], np.float32)}
            whole["face_boxes"] = whole["face_boxes"] - np.array([left, top, left, top], np.float32)
            name = f"{sample.image_id}#{index}"
            samples.append(replace(sample, image_id=name, path=path, size=(height, width), **whole))
    return replace(data, samples=tuple(samples))


PER_PERSON = ("boxes", "emotions", "vad", "votes", "weights", "gender", "age", "track_ids", "faces", "face_boxes")
"""Fields of a sample that have one entry a person."""


def _bounds(root: Path) -> dict[str, float]:
    """What perfect perception reaches on the very test split, in percent."""
    from caer_ros.offline.metrics.average_precision import average_precision

    true = drawn_truth.read(root)
    persons = [person for image in true.images if image.split == "test" for person in image.persons]
    targets = np.eye(len(cues.EMOTIONS))[[person.emotion for person in persons]]
    seen = {"best": cues.CUES, "best_alone": ("face", "posture")}
    return {
        name: 100 * float(np.nanmean(average_precision(targets, cues.best_scores(true.dials, persons, sees))))
        for name, sees in seen.items()
    }


def _plain(point: Point) -> dict[str, Any]:
    gain = point.gain
    return {
        "scene": point.scene,
        "student": point.student,
        "crops": point.crops,
        "gain": {"mean": gain.mean, "low": gain.low, "high": gain.high},
        "best": point.best,
        "best_alone": point.best_alone,
    }
