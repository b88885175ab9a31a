"""Make a model's scores mean what they say where it works: fit its calibration on annotated results.

Fits a temperature and a bias for each label, and the thresholds at which precision equals recall, on the predictions
and annotations that `caer evaluate bag` or `caer evaluate dataset` wrote with --output. Error before and after is told
for persons on whom nothing was fitted. A new bundle is written; the given one stays as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from caer_ros.cli.arguments import not_negative

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from caer_ros.offline.export.calibration_data import Evidence, Result
    from caer_ros.offline.export.calibration_fit import HeldOut, Quality
    from caer_ros.offline.metrics.reliability import Against
    from caer_ros.perception.bundle.bundle import Bundle, Metric, Thresholds
    from caer_ros.perception.calibration import Calibration

    Counts = NDArray[np.intp] | None
    """[3] as ``Candidates.counts``; None: not measured."""

_DIGITS = 4
"""Decimals of a threshold."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer calibrate``."""
    parser.add_argument(
        "results", nargs="+", type=Path, metavar="RESULT", help="folders that `caer evaluate` wrote with --output"
    )
    parser.add_argument("--model", required=True, help="the bundle (name or folder) that made the predictions")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="the bundle to write: models/NAME")
    parser.add_argument(
        "--against",
        choices=("labels", "votes"),
        default="labels",
        help="what a score shall mean: that the label is annotated, or the part of annotators who chose it "
        "(default: %(default)s)",
    )
    parser.add_argument("--seed", type=not_negative, default=0, help="of the split (default: %(default)s)")
    parser.add_argument(
        "--force",
        action="store_true",
        help="write even where it got worse, and even where the model drafted the annotations itself",
    )


def run(args: argparse.Namespace) -> int:
    """Fit, judge, print, write. Raises CalibrationError and the errors of bundles, annotations and tables."""
    from rich.console import Console

    from caer_ros.offline.export import calibration_bundle, calibration_data
    from caer_ros.offline.export import calibration_fit as fitting
    from caer_ros.offline.export.calibration_fit import CalibrationError
    from caer_ros.perception.bundle.finding import find_bundle
    from caer_ros.perception.bundle.reading import read_bundle

    if args.output.exists():
        raise CalibrationError(f"{args.output} exists; give another folder")
    bundle = read_bundle(find_bundle(args.model))
    results = calibration_data.read(args.results, bundle)
    _refuse_own_opinion(results, bundle, args.force)
    evidence = calibration_data.gather(results, bundle, args.seed)
    truth = evidence.truth(args.against)
    console = Console()
    held_out = fitting.cross_validate(
        evidence.scores, truth, evidence.labels, evidence.fold, bundle.score_type, bundle.thresholds.uncertain
    )
    calibration = _rounded(fitting.fit(evidence.scores, truth, bundle.score_type))
    if set(calibration.temperature) == {1.0} and set(calibration.bias) == {0.0}:
        raise CalibrationError("nothing can be learnt: of no label there are persons who have it and persons who don't")
    before, after = _judge(evidence, held_out, bundle, console)[args.against]
    parameters = zip(bundle.labels, calibration.temperature, calibration.bias, strict=True)
    lines = [(label, f"{temperature:.3f}", f"{bias:+.3f}") for label, temperature, bias in parameters]
    _show(console, "Calibration, fitted on all of them", ("label", "temperature", "bias"), lines)
    thresholds = _thresholds(evidence, held_out, bundle, calibration, console)
    for note in evidence.notes:
        _note(console, note)
    _refuse_worse(before, after, args.force)
    metrics = _metrics(evidence, args.against, before, after)
    origin = _origin(results, bundle, evidence, args.against)
    written = calibration_bundle.write(bundle, args.output, calibration, thresholds, origin, metrics)
    print(f"{written.path}: {written.name} {written.version}, {written.model_version}")
    return 0


def _refuse_worse(before: Quality, after: Quality, force: bool) -> None:
    """Raises CalibrationError, or warns, where the mean error of any kind that was fitted for or is reported grows."""
    import sys

    from caer_ros.offline.export.calibration_fit import CalibrationError

    worse = [
        f"{name} from {old:.4f} to {new:.4f}"
        for name, old, new in (
            ("ECE", before.mean_ece, after.mean_ece),
            ("negative log-likelihood", before.mean_nll, after.mean_nll),
        )
        if new > old
    ]
    if not worse:
        return
    said = f"the calibration makes the scores of persons it was not fitted on worse: {', '.join(worse)}"
    if not force:
        raise CalibrationError(f"{said}; nothing was written. Annotate more persons, or insist with --force")
    print(f"WARNING: {said}; --force insists.", file=sys.stderr)


def _refuse_own_opinion(results: Sequence[Result], bundle: Bundle, force: bool) -> None:
    """Raises CalibrationError, or warns, where this very model wrote the first draft of the emotions."""
    import sys

    from caer_ros.offline.export.calibration_data import own_opinion
    from caer_ros.offline.export.calibration_fit import CalibrationError

    if not (folders := own_opinion(results, bundle)):
        return
    said = (
        f"{', '.join(map(str, folders))}: {bundle.name} itself wrote the first draft of the annotated emotions, so it "
        "would be calibrated on its own opinion"
    )
    if not force:
        raise CalibrationError(f"{said}; annotate the emotions without its draft, or insist with --force")
    print(f"WARNING: {said}; --force insists.", file=sys.stderr)


def _rounded(calibration: Calibration) -> Calibration:
    """Calibration as it is written."""
    from caer_ros.perception.calibration import Calibration

    temperature, bias = (
        tuple(float(f"{value:.6g}") + 0.0 for value in values) for values in (calibration.temperature, calibration.bias)
    )
    return Calibration(temperature, bias)


def _judge(
    evidence: Evidence, held_out: HeldOut, bundle: Bundle, console: Console
) -> dict[Against, tuple[Quality, Quality]]:
    """Measure before and after, against labels, and against votes where there are any; print both."""
    import numpy as np

    from caer_ros.offline.export.calibration_fit import quality

    truths: dict[Against, np.ndarray] = {"labels": evidence.labels}
    if evidence.votes is not None:
        truths["votes"] = evidence.votes
    judged = {}
    for against, truth in truths.items():
        known = ~np.isnan(truth) & ~np.isnan(evidence.scores)
        if not known.any():
            continue
        before, after = judged[against] = quality(truth, evidence.scores), quality(truth, held_out.scores)
        rows = [
            (
                label,
                f"{known[:, index].sum():,}",
                f"{truth[known[:, index], index].sum():,.4g}",
                _change(100 * before.ece[index], 100 * after.ece[index], 1),
                _change(before.brier[index], after.brier[index]),
                _change(before.nll[index], after.nll[index]),
            )
            for index, label in enumerate(bundle.labels)
        ]
        mean = (
            _change(100 * before.mean_ece, 100 * after.mean_ece, 1),
            _change(before.mean_brier, after.mean_brier),
            _change(before.mean_nll, after.mean_nll),
        )
        split = f"{evidence.fold.max() + 1} parts by {evidence.split}, {known.any(axis=1).sum():,} persons"
        title = f"{bundle.name} before → after, against {against}, on persons not fitted on: {split}"
        header = ("label", "persons", "have it", "ECE, %", "Brier", "NLL")
        _show(console, title, header, [*rows, ("mean", "", "", *mean)])
    return judged


def _show(console: Console, title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a table whose first column is words."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for index, name in enumerate(header):
        table.add_column(name, justify="right" if index else "left")
    for row in rows:
        table.add_row(*row)
    console.print(title, markup=False, highlight=False, soft_wrap=True, style="italic")
    console.print(table, markup=False)


def _note(console: Console, note: str) -> None:
    console.print(f"· {note}", markup=False, highlight=False, soft_wrap=True)


def _change(before: float, after: float, digits: int = 3) -> str:
    return "—" if before != before else f"{before:.{digits}f} → {after:.{digits}f}"


def _thresholds(
    evidence: Evidence, held_out: HeldOut, bundle: Bundle, calibration: Calibration, console: Console
) -> Thresholds:
    """Thresholds at equal precision and recall where that exists, else those of the bundle; printed."""
    from caer_ros.offline.export import calibration_fit as fitting
    from caer_ros.perception.bundle.bundle import Thresholds

    old = bundle.thresholds
    final = fitting.probabilities(evidence.scores, calibration, bundle.score_type)
    uncertain = fitting.break_even(fitting.tops(final, evidence.labels))
    raw = fitting.tops(evidence.scores, evidence.labels).counts(old.uncertain)
    rows: list[tuple[str, float, float | None, Counts, Counts]] = [
        ("uncertain", old.uncertain, uncertain, raw, held_out.reported)
    ]
    person = None
    if evidence.detections is not None:
        person = fitting.break_even(evidence.detections)
        seen = evidence.detections.counts(old.person) if old.person >= evidence.floor else None
        judged = fitting.cross_validate_threshold(evidence.detections, old.person)
        rows.append(("person", old.person, person, seen, judged if person is not None else seen))
    lines = []
    for name, was, value, before, after in rows:
        found = f"{was:g} → {value:.{_DIGITS}f}" if value is not None else f"{was:g}, left: no such point"
        lines.append((name, found, *(f"{_part(before, of)} → {_part(after, of)}" for of in (1, 2))))
    title = "Thresholds at equal precision and recall; what they do is counted where they were not fitted"
    _show(console, title, ("threshold", "value", "precision, %", "recall, %"), lines)
    if evidence.detections is not None and person is None:
        answers, wanted = len(evidence.detections.scores), len(evidence.detections.wanted)
        _note(
            console,
            f"The person threshold is left: from a score of {evidence.floor:g} on, where the results hold every "
            f"detection, there are {answers:,} of {wanted:,} persons, so recall is below precision everywhere.",
        )
    return Thresholds(
        old.person if person is None else round(person, _DIGITS),
        old.uncertain if uncertain is None else round(uncertain, _DIGITS),
    )


def _part(counts: Counts, of: int) -> str:
    return "—" if counts is None or not counts[of] else f"{100 * counts[0] / counts[of]:.1f}"


def _metrics(evidence: Evidence, against: Against, before: Quality, after: Quality) -> list[Metric]:
    from caer_ros.perception.bundle.bundle import Metric

    protocol = (
        f"caer calibrate, mean over labels, against {against}, on persons not fitted on: {evidence.fold.max() + 1} "
        f"parts by {evidence.split}, {len(evidence.fold)} persons"
    )
    return [
        Metric(f"{name} {when} calibration", round(float(value), 6), protocol)
        for when, values in (("before", before), ("after", after))
        for name, value in (("ECE", values.mean_ece), ("Brier", values.mean_brier), ("NLL", values.mean_nll))
    ]


def _origin(results: Sequence[Result], bundle: Bundle, evidence: Evidence, against: Against) -> str:
    """One sentence for the card. Of paths only the names: a card is published."""
    from pathlib import PurePath

    sources = [PurePath(result.joined.header.source).name or result.folder.resolve().name for result in results]
    return (
        f"Calibrated from {bundle.name} {bundle.version} ({bundle.model_version}) by caer calibrate against {against} "
        f"of {len(evidence.fold)} persons in {sum(len(result.joined.samples) for result in results)} frames of "
        f"{'; '.join(sources)}."
    )
