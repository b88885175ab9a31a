"""Teach a single-shot student on unlabelled frames of a robot: it learns what a model bundle says about them.

The frames (of a bag, a video or a folder) are labelled by the bundle and kept as a data set beside the output folder
while the student is trained, then removed. What the bundle cannot predict stays unknown; its doubts weigh less. Where a
network of a teacher is at hand, its features are amalgamated too. Fields of the configuration follow after --, as in
caer distill --bag BAG -- --trainer.epochs 10.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from caer_ros.cli.arguments import not_negative_number

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from caer_ros.offline.training.config import TrainConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer distill``."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--bag", type=Path, metavar="DIR", help="a rosbag2")
    source.add_argument("--video", type=Path, metavar="FILE", help="any that OpenCV reads")
    source.add_argument("--images", type=Path, metavar="DIR", help="a folder of pictures")
    parser.add_argument("--topic", help="image topic of the bag; needed where it has several")
    parser.add_argument(
        "--every",
        type=not_negative_number,
        default=0.5,
        metavar="S",
        help="seconds between two frames, 0 for all (default: 0.5)",
    )
    parser.add_argument(
        "--teacher", default="bootstrap", metavar="BUNDLE", help="model bundle, a name or a path (default: bootstrap)"
    )
    parser.add_argument(
        "--network", type=Path, action="append", default=[], metavar="CKPT",
        help="a teacher network whose features are amalgamated; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--config", default="distill", help="training configuration, a name or a path (default: distill)"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("runs/distill"), metavar="DIR", help="(default: %(default)s)"
    )
    parser.add_argument("--device", default="auto", help="where the bundle runs: auto, cpu, cuda:N (default: auto)")
    parser.add_argument("--keep-frames", action="store_true", help="keep the labelled frames as a data set")
    parser.add_argument(
        "fields", nargs="*", metavar="-- FIELDS", help="fields of the configuration, such as -- --data.batch 8"
    )


def run(args: argparse.Namespace) -> int:
    """Label, train and compare. Raises the errors of sources, bundles and training."""
    import shutil

    from caer_ros.offline.data import distilled
    from caer_ros.offline.training.run import train
    from caer_ros.perception.bundle.finding import find_bundle
    from caer_ros.perception.bundle.reading import read_bundle
    from caer_ros.perception.engine import EngineSettings
    from caer_ros.perception.predictors import predictor
    from caer_ros.recordings import frames

    source = args.bag or args.video or args.images
    data = args.output.with_name(f"{args.output.name}_frames")
    config = configure(args.config, args.output, data, args.network, args.fields)
    teacher = predictor.load(read_bundle(find_bundle(args.teacher)), EngineSettings(device=args.device))
    made_of = {
        "source": str(source.resolve()),
        "topic": args.topic,
        "every": args.every,
        "teacher": teacher.bundle.model_version,
    }
    distilled.claim(args.output, made_of)
    if not distilled.is_complete(data):
        found = distilled.label(teacher, frames.read(source, args.topic if args.bag else None, args.every), data)
        print(
            f"{found.frames} frames, {found.persons} persons, {found.with_emotions} with emotions "
            f"({', '.join(f'{name} {count}' for name, count in found.labels_seen.items() if count) or 'none'}); "
            f"{found.doubtful} regions in doubt"
        )
    result = train(config)
    print(agreement(result.best, data))
    if not args.keep_frames:
        shutil.rmtree(data)
    print(f"{result.best}\nnow: caer export {result.best} --output models/NAME")
    return 0


def configure(name: str, output: Path, data: Path, networks: Sequence[Path], fields: Sequence[str]) -> TrainConfig:
    """The named configuration, on the labelled frames. Raises ConfigError."""
    import json

    from caer_ros.offline.training import configuration

    given = [f"--output={output}", "--data.name=own", f"--data.root={data}", "--task=student", "--model.detection=true"]
    given += ["--trainer.devices=1"]  # several processes would each label, compare and clean up
    if networks:
        given += ["--recipe.name=ka", f"--recipe.teachers={json.dumps([str(network) for network in networks])}"]
    return configuration.read(name, [*given, *(field for field in fields if field != "--")])


def agreement(checkpoint: Path, data: Path) -> str:
    """One line: how far the student says what its teacher said, on the frames that it was not trained on."""
    import numpy as np

    from caer_ros.offline import data as datasets
    from caer_ros.offline.evaluation.predict import predict_checkpoint
    from caer_ros.offline.metrics.detection import pd
    from caer_ros.offline.metrics.joined import join

    val = datasets.load("own", data, "val")
    joined = join(val.samples, predict_checkpoint(checkpoint, val.samples))
    line = f"agreement with the teacher on the last {len(val.samples)} frames: PD {100 * pd(joined).ap:.1f}"
    beliefs = np.concatenate([sample.emotions for sample in val.samples])
    told = ~np.isnan(beliefs).all(axis=1)
    if told.any():
        first = np.nan_to_num(beliefs[told], nan=-1).argmax(axis=1)
        same = (np.nan_to_num(joined.pooled()[told], nan=-1).argmax(axis=1) == first).mean()
        line += f", same first emotion {100 * same:.0f} % of {told.sum()} persons"
    return line + " (not with the truth)"
