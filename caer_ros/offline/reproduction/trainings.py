"""The trainings that the KA paper's tables are made of: teachers first, then every student, measured on test."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from caer_ros.offline.reproduction.laboratory import Laboratory
from caer_ros.offline.reproduction.scales import StudentScale

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.offline.reproduction.ka import Runs, Table, Training
    from caer_ros.offline.reproduction.laboratory import Scores
    from caer_ros.offline.systems.ka.config import KaConfig
    from caer_ros.recordings.annotations.sample import Dataset

TEACHER_DATA = {"fer": "affectnet", "vea": "emoset", "od": "coco"}
"""The data set of each teacher's task."""
TEACHER_SIZE = {"fer": 224}
"""Input of a teacher in the paper where it is another than the student's: AffectNet's aligned faces."""
Task = Literal["student", "classifier", "detector"]


@dataclass(frozen=True)
class StudentLaboratory(Laboratory[StudentScale]):
    """Teachers and students; "teacher fer" and so on in ``given`` are used instead of training that teacher."""

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
        if given := self.given.get(f"teacher {name}"):
            return given
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

        def work() -> Scores:
            from caer_ros.offline.systems.ka.config import RecipeConfig
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
            return measure(train(config).best, self.load(data, "test"), training.multi_task)

        return self.scores(folder, work)

    def images(self, data: str) -> int:
        """How many synthetic images a data set gets to train on."""
        return self.scale.teacher_images if data in TEACHER_DATA.values() else self.scale.images

    def config(
        self, folder: Path, data: str, root: Path, task: Task, seed: int, epochs: int, size: int | None = None
    ) -> KaConfig:
        """A training at this scale, of a baseline unless changed; ``size`` is the scale's where not given."""
        from caer_ros.offline.systems.ka.config import KaConfig, ModelConfig
        from caer_ros.offline.training.config import DataConfig, OptimiserConfig

        scale, size = self.scale, size or self.scale.size
        config = KaConfig(
            output=str(folder),
            data=DataConfig(name=data, root=str(root), size=(size, size)),
            task=task,
            model=ModelConfig(scale.backbone, scale.weights, scale.head_width, scale.head_blocks),
            optimiser=OptimiserConfig(learning_rate=scale.learning_rate, schedule=scale.schedule),
        )
        return self.here(config, data, root, seed, epochs)


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
