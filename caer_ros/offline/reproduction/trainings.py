"""The trainings that a table is made of: teachers first, then every student, each evaluated on the test split.

Everything lies in one folder. What is finished is not done again, and a training that was broken off goes on.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from caer_ros.offline.datasets.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from caer_ros.offline.reproduction.scales import Scale
    from caer_ros.offline.reproduction.tables import Runs, Scores, Table, Training
    from caer_ros.offline.sample import Dataset
    from caer_ros.offline.training.config import TrainConfig

TEACHER_DATA = {"fer": "affectnet", "vea": "emoset", "od": "coco"}
"""The data set of each teacher's task."""
TEACHER_SIZE = {"fer": 224}
"""Input of a teacher in the paper where it is another than the student's: AffectNet's aligned faces."""


SEEDS = {"heco": 1, "emotic": 2, "affectnet": 3, "emoset": 4, "coco": 5}
"""Of the synthetic images, so that no picture is in two data sets."""
Task = Literal["student", "classifier", "detector"]


class ReproductionError(Exception):
    """What is needed for a table and not there; says what to give."""


@dataclass(frozen=True)
class Laboratory:
    """Where data lies, where results go, and on what everything runs."""

    scale: Scale
    output: Path
    synthetic: bool
    roots: dict[str, Path]
    """Folder of each real data set by name; empty with synthetic data."""
    teachers: dict[str, Path] = field(default_factory=dict)
    """Checkpoints to use instead of training a teacher, by "fer", "vea" or "od"."""
    accelerator: str = "auto"
    threads: int = 0
    workers: int = 0
    say: Callable[[str], None] = print

    def claim(self) -> None:
        """Note the settings in the output folder, or compare them with those noted there.

        Raises:
            ReproductionError: what lies there was made with others.
        """
        settings = asdict(self.scale)
        del settings["seeds"], settings["blocks"]  # more of them can be added
        settings |= {f"path of {name}": str(path.resolve()) for name, path in self.roots.items()}
        settings |= {f"teacher {name}": str(path.resolve()) for name, path in self.teachers.items()}
        mine = json.loads(json.dumps(settings))
        file = self.output / "settings.json"
        noted = json.loads(file.read_text("utf8")) if file.is_file() else {}
        changed = [
            f"{name} {noted[name]}, now {mine[name]}"
            for name in mine.keys() & noted.keys()
            if noted[name] != mine[name]
        ]
        if changed:
            raise ReproductionError(
                f"{self.output} holds results of other settings ({'; '.join(sorted(changed))}): choose another --output"
            )
        write_whole(file, json.dumps(noted | mine, indent=1))

    def run(self, table: Table, data: str, seeds: range) -> Runs:
        """Every student of one block of a table, for every seed: its scores in percent."""
        needed = sorted({teacher for training in table.trainings for teacher in training.teachers})
        teachers = {name: self.teacher(name) for name in needed}
        runs: Runs = {training: [] for training in table.trainings}
        for seed in seeds:
            for training in table.trainings:
                self.say(f"{data}: {training.name}, seed {seed}")
                runs[training].append(self.student(training, data, seed, teachers))
        return runs

    def teacher(self, name: str) -> Path:
        """The checkpoint of a teacher, trained once with seed 0 as in the paper (section 3.1)."""
        if name in self.teachers:
            return self.teachers[name]
        from caer_ros.offline.training.run import train

        self.say(f"teacher {name}")
        task: Task = "detector" if name == "od" else "classifier"
        size = min(TEACHER_SIZE.get(name, self.scale.size), self.scale.size)
        data, folder = TEACHER_DATA[name], self.output / "teachers" / name
        config = self.config(folder, data, self.root(data), task, 0, self.scale.teacher_epochs, size)
        return train(config).best

    def student(self, training: Training, data: str, seed: int, teachers: dict[str, Path]) -> Scores:
        """Train one student and measure it on the test split."""
        folder = self.output / data / training.name / f"seed{seed}"
        scores = folder / "scores.json"
        if not scores.is_file():
            from caer_ros.offline import datasets
            from caer_ros.offline.training.config import RecipeConfig
            from caer_ros.offline.training.run import train

            config = self.config(folder, data, self.root(data), "student", seed, self.scale.epochs)
            config = replace(
                config,
                model=replace(config.model, detection=training.multi_task),
                recipe=RecipeConfig(
                    name=training.recipe,
                    teachers=tuple(str(teachers[name]) for name in training.teachers),
                    channels=self.scale.channels,
                ),
            )
            test = datasets.load(data, self.root(data), "test")
            measured = measure(train(config).best, test, training.multi_task)
            write_whole(scores, json.dumps(measured))
        result: Scores = json.loads(scores.read_text("utf8"))
        return result

    def root(self, data: str) -> Path:
        """The folder of a data set; a synthetic one is rendered when it is first asked for.

        Raises:
            ReproductionError: a real one was not given.
        """
        if not self.synthetic:
            if data not in self.roots:
                raise ReproductionError(f"{data} is needed and not given: add --path {data}=FOLDER")
            return self.roots[data]
        from caer_ros.offline.datasets.synthetic import folders, truth

        folder = self.output / "data" / data
        if not (folder / truth.FILE).is_file():  # written last
            shutil.rmtree(folder, ignore_errors=True)
            self.say(f"rendering {data}")
            count = self.scale.teacher_images if data in TEACHER_DATA.values() else self.scale.images
            sizes = split_sizes(count, folders.FORMATS[data].splits)
            folders.write(data, folder, sizes, self.scale.pictures, SEEDS[data], processes=2)
        return folder

    def config(
        self, folder: Path, data: str, root: Path, task: Task, seed: int, epochs: int, size: int | None = None
    ) -> TrainConfig:
        """A training at this scale, of a baseline unless changed; ``size`` is the scale's where not given."""
        from caer_ros.offline.training.config import (
            DataConfig,
            ModelConfig,
            OptimiserConfig,
            TrainConfig,
            TrainerConfig,
        )

        scale, size = self.scale, size or self.scale.size
        return TrainConfig(
            output=str(folder),
            data=DataConfig(
                name=data,
                root=str(root),
                size=(size, size),
                batch=scale.batch,
                workers=self.workers,
                cache=self.synthetic,
            ),
            task=task,
            model=ModelConfig(scale.backbone, scale.weights, scale.head_width, scale.head_blocks),
            optimiser=OptimiserConfig(learning_rate=scale.learning_rate, schedule=scale.schedule),
            trainer=TrainerConfig(
                epochs=epochs,
                seed=seed,
                precision=scale.precision,
                accelerator=self.accelerator,
                devices="1",  # several processes would each render, evaluate and write
                threads=self.threads,
            ),
        )


def split_sizes(train: int, splits: Sequence[str]) -> dict[str, int]:
    """How many synthetic images each split gets: a fifth more to choose the epoch, and two fifths to test."""
    sizes = {"train": train, "val": max(1, train // 5), "test": max(1, 2 * train // 5)}
    return {split: sizes[split] for split in splits}


def measure(checkpoint: Path, test: Dataset, detection: bool) -> Scores:
    """ER, and where it detects persons PD and OER, in percent."""
    from caer_ros.offline.evaluation.predict import predict_checkpoint
    from caer_ros.offline.metrics.detection import pd
    from caer_ros.offline.metrics.emotion_recognition import er
    from caer_ros.offline.metrics.joined import join
    from caer_ros.offline.metrics.on_the_field import oer

    joined = join(test.samples, predict_checkpoint(checkpoint, test.samples))
    scores = {"er": er(joined).mean_average_precision}
    if detection:
        scores |= {"pd": pd(joined).ap, "oer": oer(joined).mean_average_precision}
    return {name: 100 * float(value) for name, value in scores.items()}
