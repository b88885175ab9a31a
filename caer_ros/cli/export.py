"""Write a trained network as a model bundle that the node loads: ONNX file, model.yaml and README.

What ONNX Runtime answers is compared with PyTorch first; nothing is written where they differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from caer_ros.cli.arguments import not_negative_number, part, whole

if TYPE_CHECKING:
    import argparse

    import numpy as np
    from numpy.typing import NDArray

    from caer_ros.perception.bundle.bundle import Bundle
    from caer_ros.recordings.annotations.sample import Sample


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer export``."""
    parser.add_argument(
        "checkpoint", type=Path, help="of a network that finds persons, such as runs/NAME/checkpoints/best.ckpt"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="the bundle, such as models/NAME")
    parser.add_argument("--overwrite", action="store_true", help="replace the bundle if it exists")
    parser.add_argument("--name", default="", help="of the bundle (default: the folder's)")
    parser.add_argument("--model-version", default="1.0.0", metavar="VERSION", help="default: %(default)s")
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument(
        "--fp32", dest="weights", action="store_const", const="float32", help="weights in full (default: float16)"
    )
    weights.add_argument(
        "--int8", dest="weights", action="store_const", const="int8", help="compute in 8 bits; needs --calibrate-on"
    )
    parser.set_defaults(weights="float16")
    parser.add_argument(
        "--calibrate-on",
        nargs=2,
        metavar=("NAME", "PATH"),
        help="data set for --int8: train tells the ranges, val what it costs",
    )
    parser.add_argument("--calibration-images", type=whole, default=200, metavar="N", help="default: %(default)s")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="check on these images (default: the demo's)")
    parser.add_argument(
        "--max-persons", type=whole, metavar="K", help="most persons in an image (default: what suits the network)"
    )
    parser.add_argument(
        "--person-threshold", type=part, default=0.3, help="lowest score of a person (default: %(default)s)"
    )
    parser.add_argument(
        "--uncertain-threshold", type=part, default=0.4, help="lowest certain top score (default: %(default)s)"
    )
    parser.add_argument(
        "--predictable",
        type=names,
        metavar="LABELS",
        help="labels that are published, with commas between (default: all)",
    )
    readable = "of a network that says who can be read: "
    parser.add_argument(
        "--readable-threshold", type=part, default=0.5, help=f"{readable}from which a person is (default: %(default)s)"
    )
    parser.add_argument(
        "--face-threshold", type=part, default=0.5, help=f"{readable}from which there is a face (default: %(default)s)"
    )
    parser.add_argument(
        "--small", type=not_negative_number, default=64, metavar="PX",
        help=f"{readable}shorter boxes are too small, in pixels of the input (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--licence", default="LicenseRef-unknown", help="SPDX expression (default: %(default)s)")
    parser.add_argument("--commercial-use", choices=("true", "false", "unknown"), default="unknown")
    parser.add_argument("--note", default="", help="Markdown for the top of the README")


def names(text: str) -> tuple[str, ...]:
    """Words with commas between."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def run(args: argparse.Namespace) -> int:
    """Export, and print what was checked. Raises ExportError, CheckpointError or DatasetError."""
    import argparse

    from caer_ros.offline.export.card import ExportSettings
    from caer_ros.offline.export.export import export
    from caer_ros.perception.bundle.bundle import Readability

    if (args.weights == "int8") != bool(args.calibrate_on):
        raise argparse.ArgumentTypeError("--int8 and --calibrate-on NAME PATH belong together")
    settings = ExportSettings(
        name=args.name,
        version=args.model_version,
        weights=args.weights,
        max_persons=args.max_persons,
        person=args.person_threshold,
        uncertain=args.uncertain_threshold,
        predictable=args.predictable,
        readability=Readability(args.readable_threshold, args.face_threshold, args.small),
        licence=args.licence,
        commercial_use={"true": True, "false": False, "unknown": None}[args.commercial_use],
        note=args.note,
    )
    exported = export(
        args.checkpoint,
        args.output,
        settings,
        calibration=_calibration(args),
        pictures=_pictures(args.pictures) if args.pictures else None,
        overwrite=args.overwrite,
    )
    bundle = exported.bundle
    size = f"{bundle.files['model'].size / 1e6:.2f} MB, weights {args.weights}"
    print(f"{bundle.path}: {bundle.name} {bundle.version}, {bundle.model_version}, {size}")
    print(f"ONNX Runtime against PyTorch, {exported.graph}")
    print(f"with weights as stored:       {exported.stored}")
    if args.weights == "int8":
        _print_cost(args, bundle)
    return 0


def _calibration(args: argparse.Namespace) -> list[NDArray[np.uint8]]:
    from caer_ros.offline.data import load
    from caer_ros.recordings.annotations import image_files

    if not args.calibrate_on:
        return []
    name, path = args.calibrate_on
    samples = _drawn(load(name, path, "train").samples, args.calibration_images)
    return [image_files.read(sample.path) for sample in samples]


def _drawn(samples: tuple[Sample, ...], count: int) -> list[Sample]:
    """So many at most, the same on every run."""
    import random

    return random.Random(0).sample(samples, min(count, len(samples)))


def _pictures(folder: Path) -> list[NDArray[np.uint8]]:
    from caer_ros.offline.export.graph import ExportError
    from caer_ros.recordings.annotations import image_files

    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in image_files.SUFFIXES)
    if not paths:
        raise ExportError(f"{folder}: no picture ({', '.join(image_files.SUFFIXES)})")
    return [image_files.read(path) for path in paths]


def _print_cost(args: argparse.Namespace, bundle: Bundle) -> None:
    """ER and PD of the network as it was trained and as it was written, on the validation split."""
    from dataclasses import replace

    from caer_ros.offline.data import load
    from caer_ros.offline.evaluation import predict
    from caer_ros.offline.metrics.detection import pd
    from caer_ros.offline.metrics.emotion_recognition import er
    from caer_ros.offline.metrics.joined import join
    from caer_ros.perception.engine import EngineSettings

    name, path = args.calibrate_on
    dataset = load(name, path, "val")
    dataset = replace(dataset, samples=tuple(_drawn(dataset.samples, args.calibration_images)))
    trained = predict.predict_checkpoint(args.checkpoint, dataset.samples, "cpu", max_persons=bundle.max_persons)
    written = predict.predict_bundle(bundle, dataset.samples, EngineSettings("cpu"))
    before, after = (
        join(dataset.samples, predict.relabel(predictions, dataset)[0]) for predictions in (trained, written)
    )
    costs = {"PD": [pd(joined).ap for joined in (before, after)]}
    if dataset.labels:
        costs = {"ER": [er(joined).mean_average_precision for joined in (before, after)]} | costs
    for metric, values in costs.items():
        old, new = (100 * value for value in values)
        print(f"{metric} on {len(dataset.samples)} images of {name} val: {old:.2f} in float32, {new:.2f} in 8 bits")
