"""Does context help? A student that sees the whole image against a model that sees each person's crop.

Synthetic images in which face and posture tell little, and the scene tells nothing, half or everything. Both models
have the same backbone, input size and training; the crop model spends the student's whole compute on each person. The
generator knows the best that any model could reach, with the scene and from the person alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros import taxonomy
from caer_ros.offline.datasets.synthetic import cues, folders, scenes, truth
from caer_ros.offline.reproduction.intervals import Estimate, estimate, paired
from caer_ros.offline.reproduction.trainings import measure, split_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

    from caer_ros.offline.reproduction.trainings import Laboratory

SCENE = (0.0, 0.5, 1.0)
"""How much the scene tells, in steps of the study."""
FACE, POSTURE = 0.3, 0.6
"""How much a person alone tells: enough to learn from, and little enough that a scene can add to it."""
PEOPLE = (0.0, 0.8, 0.2)
"""How often there are 0, 1 and 2 people."""
SIZES, OBJECT_SIZES = (0.6, 1.2), (0.22, 0.32)
"""Of adults and of the scene's objects in heights of the picture: large, as the inputs of small trainings are small."""
PIXELS = 128
"""Width and height of the pictures."""


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
        """Of the student over the crop model, paired by seed."""
        return paired(self.student, self.crops)


def run(laboratory: Laboratory, console: Console, as_json: bool) -> int:
    """Train, print, and write context.json and context.png into the output folder."""
    points = [_point(laboratory, scene) for scene in SCENE]
    console.print(lay_out(points))
    console.print("Compute for each image (student), for each person (crops): " + compute(laboratory))
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

    from caer_ros.offline.reproduction.tables import difference_in_words, in_words

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


def compute(laboratory: Laboratory) -> str:
    """GFLOPs of both models at the study's input size."""
    import torch

    from caer_ros.offline.models.description import describe
    from caer_ros.offline.training import checkpoint
    from caer_ros.offline.training.config import ModelConfig

    scale = laboratory.scale
    model = ModelConfig(scale.backbone, None, scale.head_width, scale.head_blocks, detection=False)
    image = torch.zeros(1, 3, scale.size, scale.size)
    parts = [
        f"{name} {describe(checkpoint.build(task, model, len(taxonomy.HECO)), image)[-1].gflops:.2f} GFLOPs"
        for name, task in (("student", "student"), ("crops", "classifier"))
    ]
    return ", ".join(parts)


def _point(laboratory: Laboratory, scene: float) -> Point:
    """Both models for every seed; each seed has images of its own."""
    measured = [_measured(laboratory, scene, seed) for seed in range(laboratory.scale.seeds)]
    best, best_alone = (float(np.mean([values[name] for values in measured])) for name in ("best", "best_alone"))
    student, crops = ([values[name] for values in measured] for name in ("student", "crops"))
    return Point(scene, student, crops, best, best_alone)


def _measured(laboratory: Laboratory, scene: float, seed: int) -> dict[str, float]:
    """Render, train both, and measure; or what an earlier call found."""
    folder = laboratory.output / f"scene{scene:g}" / f"seed{seed}"
    scores = folder / "scores.json"
    if not scores.is_file():
        from caer_ros.offline import datasets
        from caer_ros.offline.evaluation.classify import classify
        from caer_ros.offline.metrics.average_precision import average_precision
        from caer_ros.offline.training.run import train

        laboratory.say(f"scene {scene:g}, seed {seed}")
        root = folder / "data"
        if not root.exists():
            sizes = split_sizes(laboratory.scale.images, folders.FORMATS["heco"].splits)
            settings = scenes.Settings(cues.Dials(FACE, POSTURE, scene), PIXELS, PIXELS, PEOPLE, SIZES, OBJECT_SIZES)
            folders.write("heco", root, sizes, settings, seed, processes=2)
        epochs = laboratory.scale.epochs
        config = laboratory.config(folder / "student", "heco", root, "student", seed, epochs)
        config = replace(config, model=replace(config.model, detection=False))
        student = measure(train(config).best, config)["er"]
        crops = train(laboratory.config(folder / "crops", "heco", root, "classifier", seed, epochs)).best
        targets, cropped = classify(crops, datasets.load("heco", root, "test"))
        found = {
            "student": student,
            "crops": 100 * float(np.nanmean(average_precision(targets.astype(float), cropped.astype(float)))),
        } | _bounds(root)
        scores.write_text(json.dumps(found), "utf8")
    result: dict[str, float] = json.loads(scores.read_text("utf8"))
    return result


def _bounds(root: Path) -> dict[str, float]:
    """What perfect perception reaches on the very test split, in percent."""
    from caer_ros.offline.metrics.average_precision import average_precision

    true = truth.read(root)
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
