"""Where trainings of a reproduction lie, on what data and machine they run, and what is done already.

Everything lies in one folder. What is finished is not done again, and a training that was broken off goes on.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import yaml

from caer_ros import share
from caer_ros.offline.reproduction.scales import Scale
from caer_ros.recordings import whole_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from caer_ros.offline.training.config import TrainConfig
    from caer_ros.recordings.annotations.sample import Dataset

SEEDS = {"heco": 1, "emotic": 2, "affectnet": 3, "emoset": 4, "coco": 5, "caer_s": 6}
"""Seeds of the synthetic images, so that no picture is in two data sets."""
STAND_INS = {"caer_s": "own"}
"""Data sets whose format is not drawn, and the one that is in their place: likewise one label a person."""

Scores = dict[str, float]
"""Percent by measure."""
S = TypeVar("S", bound=Scale)
Config = TypeVar("Config", bound="TrainConfig")


class ReproductionError(Exception):
    """What is needed for a table and not there; says what to give."""


@dataclass(frozen=True)
class Laboratory(Generic[S]):
    """Where data lies, where results go, and on what everything runs."""

    scale: S
    output: Path
    synthetic: bool
    roots: dict[str, Path]
    """Folder of each real data set by name; empty with synthetic data."""
    given: dict[str, Path] = field(default_factory=dict)
    """Checkpoints or weights to use instead of training them, by "teacher fer", "teacher vea" or "teacher od"."""
    start: Path | None = None
    """A file of weights that BENet and DSCT begin with, as in the papers; None: at random."""
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
        settings |= {name: str(path.resolve()) for name, path in self.given.items()}
        settings["start"] = str(self.start.resolve()) if self.start else None
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
        whole_file.write_text(file, json.dumps(noted | mine, indent=1))

    def scores(self, folder: Path, work: Callable[[], Scores]) -> Scores:
        """What ``work``, a training and its measuring, found when it was first asked for; kept in ``folder``."""
        file = folder / "scores.json"
        if not file.is_file():
            whole_file.write_text(file, json.dumps(work()))
        result: Scores = json.loads(file.read_text("utf8"))
        return result

    def load(self, data: str, split: str) -> Dataset:
        """One split of a data set, rendered first where it is synthetic."""
        from caer_ros.offline import data as datasets

        return datasets.load(self.format(data), self.root(data), split)

    def format(self, data: str) -> str:
        """What `caer data check` calls the data set in use."""
        return STAND_INS.get(data, data) if self.synthetic else data

    def in_words(self, data: str) -> str:
        """What the data is, for a table's title."""
        if not self.synthetic:
            return data.upper().replace("_", "-")
        if data in STAND_INS:
            return f"synthetic, one label a person, in the place of {data.upper().replace('_', '-')}"
        return f"synthetic, in the format of {data.upper()}"

    def root(self, data: str) -> Path:
        """The folder of a data set; a synthetic one is rendered when it is first asked for.

        Raises:
            ReproductionError: a real one was not given.
        """
        if not self.synthetic:
            if data not in self.roots:
                raise ReproductionError(f"{data} is needed and not given: add --path {data}=FOLDER")
            return self.roots[data]
        from caer_ros.offline.data.synthetic import drawn_truth, folders

        folder = self.output / "data" / data
        if not (folder / drawn_truth.FILE).is_file():  # written last
            shutil.rmtree(folder, ignore_errors=True)
            self.say(f"rendering {data}")
            name = self.format(data)
            sizes = split_sizes(self.images(data), folders.FORMATS[name].splits)
            folders.write(name, folder, sizes, self.scale.pictures, SEEDS[data], processes=2)
        return folder

    def images(self, data: str) -> int:
        """How many synthetic images a data set gets to train on."""
        return self.scale.images

    def here(self, config: Config, data: str, root: Path, seed: int, epochs: int) -> Config:
        """The same training on this data, at this scale's batch and precision, on this machine."""
        return replace(
            config,
            data=replace(
                config.data,
                name=self.format(data),
                root=str(root),
                batch=self.scale.batch,
                workers=self.workers,
                cache=self.synthetic and config.task != "benet",  # which changes images at their own size
            ),
            trainer=replace(
                config.trainer,
                epochs=epochs,
                seed=seed,
                precision=self.scale.precision,
                accelerator=self.accelerator,
                devices="1",  # several processes would each render, evaluate and write
                threads=self.threads,
            ),
        )

    @property
    def device(self) -> str:
        """Where networks are measured."""
        return "cpu" if self.accelerator == "cpu" else "auto"


def split_sizes(train: int, splits: Sequence[str]) -> dict[str, int]:
    """How many synthetic images each split gets: a fifth more to choose the epoch, and two fifths to test."""
    sizes = {"train": train, "val": max(1, train // 5), "test": max(1, 2 * train // 5)}
    return {split: sizes[split] for split in splits}


def published_numbers(paper: str) -> dict[str, Any]:
    """A paper's numbers in percent, from resource/published_numbers.yaml."""
    numbers: dict[str, Any] = yaml.safe_load(share.find("resource/published_numbers.yaml").read_text("utf8"))[paper]
    return numbers
