"""Portraits, bodies and models in; every answer and all figures out, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from caer_ros.offline.evaluation.portraits import bodies, other_pictures, portrait_cases, portrait_figures, portrait_set
from caer_ros.offline.evaluation.predict import EvaluationError
from caer_ros.perception.bundle.finding import find_bundle
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.predictors import predictor
from caer_ros.perception.predictors.composed.composed import Composed
from caer_ros.plain_data import plain
from caer_ros.recordings.annotations import image_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from caer_ros.offline.evaluation.portraits.canvas import Picture
    from caer_ros.offline.evaluation.portraits.other_pictures import OfFolder, OtherPictures
    from caer_ros.offline.evaluation.portraits.portrait_cases import Answer, Case
    from caer_ros.offline.evaluation.portraits.portrait_figures import Figures
    from caer_ros.offline.evaluation.portraits.portrait_set import KnownPerson
    from caer_ros.perception.engine import EngineSettings
    from caer_ros.perception.predictors.predictor import Predictor

    Show = Callable[[Case, Picture, Answer], None]

FINDER = "bootstrap"
"""The bundle that finds faces and bodies in the pictures that are put together, whatever is judged."""
FORMAT, FORMAT_VERSION = "caer evaluate portraits", 1


class Watch(Protocol):
    """Wraps a loop over ``total`` items, or unknown many where that is 0, to show progress."""

    def __call__(self, items: Iterable[Any], description: str, total: int) -> Iterable[Any]: ...


def unwatched(items: Iterable[Any], description: str, total: int) -> Iterable[Any]:
    """Shows nothing."""
    return items


@dataclass(frozen=True, slots=True)
class Setup:
    """What is put together, and how."""

    portraits: Path
    scenes: Path
    split: str = "test"
    sizes: tuple[int, ...] = (16, 24, 32, 48, 80)
    seed: int = 0
    turned: tuple[Path, ...] = ()
    negatives: tuple[Path, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Judged:
    """All answers, and what they come to."""

    setup: Setup
    persons: tuple[KnownPerson, ...]
    models: dict[str, Predictor]
    cases: list[tuple[Case, dict[str, Answer]]]
    """Each with the answers by model."""
    others: list[OtherPictures]
    notes: dict[str, list[str]]
    """Names of pictures that were left out, by the reason; and of those that are grey or were turned upright."""
    figures: dict[str, Figures]
    """By model."""

    @property
    def folders(self) -> dict[str, list[OfFolder]]:
        """By model, what was said in other pictures."""
        return {name: [other_pictures.of_folder(other, name) for other in self.others] for name in self.models}


def load(names: Sequence[str], settings: EngineSettings) -> dict[str, Predictor]:
    """The models to be judged, by name.

    Raises:
        BundleError, EngineError: a bundle is missing, wrong or does not run.
        EvaluationError: a bundle is named twice, or has not both labels that can be right.
    """
    models: dict[str, Predictor] = {}
    for name in names:
        bundle = read_bundle(find_bundle(name))
        predictable = {label for label, can in zip(bundle.labels, bundle.predictable, strict=True) if can}
        missing = [label for label in portrait_cases.EXPECTED.values() if label not in predictable]
        if missing:
            raise EvaluationError(
                f"{bundle.path}: predicts no {' and no '.join(missing)}, but {', '.join(sorted(predictable))}; "
                'portraits are neutral or smiling: give a bundle with the labels of "caer_s"'
            )
        key = bundle.name if bundle.name not in models else name
        if key in models:
            raise EvaluationError(f"--model {name}: is there already; name each bundle once")
        models[key] = predictor.load(bundle, settings)
    return models


def check(setup: Setup) -> None:
    """Raise now what would end the run later: DatasetError for portraits or a folder that are missing or wrong."""
    portrait_set.read(setup.portraits)
    for folder in (setup.scenes, *setup.turned, *setup.negatives):
        image_files.pictures_in(folder)


def run(
    setup: Setup,
    models: dict[str, Predictor],
    settings: EngineSettings,
    show: Show = lambda *_: None,
    watch: Watch = unwatched,
) -> Judged:
    """Put all pictures together and show them to the models.

    Args:
        setup: see there.
        models: by name.
        settings: device and threads of the bundle that finds faces and bodies.
        show: called with every case and the first model's answer.
        watch: shows progress.

    Raises:
        DatasetError: portraits or scenes are missing or wrong; see ``portrait_set.read``, ``bodies.bodies``.
    """
    persons = portrait_set.read(setup.portraits)
    notes: dict[str, list[str]] = {}
    others = [
        other_pictures.look_through(kind, folder, models, partial(watch, description=kind, total=0))
        for kind, folders in ((other_pictures.TURNED, setup.turned), (other_pictures.NEGATIVES, setup.negatives))
        for folder in folders
    ]
    finder = predictor.load(read_bundle(find_bundle(FINDER)), settings)
    assert isinstance(finder, Composed)  # it is in the package
    scenes = bodies.bodies(finder, setup.scenes, setup.split, setup.seed, notes)
    shown = portrait_cases.prepare(persons, scenes, finder, setup.sizes, notes)
    cases: list[tuple[Case, dict[str, Answer]]] = []
    for case, picture in portrait_cases.pictures(watch(shown, "portraits", len(persons)), setup.sizes, setup.seed):
        answers = {name: portrait_cases.answer(model, picture) for name, model in models.items()}
        cases.append((case, answers))
        show(case, picture, next(iter(answers.values())))
    figures = {
        name: portrait_figures.figures([(case, answers[name]) for case, answers in cases], persons) for name in models
    }
    return Judged(setup, persons, models, cases, others, notes, figures)


def document(judged: Judged) -> dict[str, Any]:
    """All of it as JSON has it: figures, and each case's scores and status, from which thresholds can be chosen."""
    found: dict[str, Any] = plain(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "setup": judged.setup,
            "models": {name: _model(model) for name, model in judged.models.items()},
            "left_out": judged.notes,
            "figures": judged.figures,
            "folders": judged.folders,
            "persons": [
                {"name": one.name, "age": one.age, "gender": one.gender, "ethnicity": one.ethnicity}
                for one in judged.persons
            ],
            "cases": [{**plain(case), "answers": answers} for case, answers in judged.cases],
            "other_pictures": judged.others,
        }
    )
    return found


def _model(model: Predictor) -> dict[str, Any]:
    bundle = model.bundle
    return {
        "version": bundle.version,
        "path": bundle.path,
        "labels": bundle.labels,
        "predictable": bundle.predictable,
        "thresholds": bundle.thresholds,
        "provider": model.provider,
    }
