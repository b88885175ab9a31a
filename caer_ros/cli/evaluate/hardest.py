"""Take the hardest frames of an evaluated bag out as a new annotation set: where to annotate, or train, next.

RESULT is a folder that `caer evaluate bag --output` wrote. With one, frames are ranked by the model's loss against what
is annotated; with two of the same bag, by how far the two models disagree. The pictures come from the bag, and what is
annotated already comes along in annotations.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from caer_ros.cli.arguments import not_negative_number, whole

if TYPE_CHECKING:
    from caer_ros.offline.evaluation.hardest import Hard
    from caer_ros.offline.evaluation.results import Result
    from caer_ros.recordings.annotations.sample import Dataset


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer evaluate hardest``."""
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULT", help="one: by loss; two: by disagreement")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="must not exist, or be empty")
    parser.add_argument("--count", type=whole, default=50, metavar="N", help="frames at most (default: 50)")
    parser.add_argument(
        "--apart",
        type=not_negative_number,
        default=1.0,
        metavar="S",
        help="seconds between two frames at least (default: 1)",
    )
    parser.add_argument("--bag", type=Path, metavar="DIR", help="where the bag is now, if it was moved")


def run(args: argparse.Namespace) -> int:
    """Rank, extract, write. Raises the errors of bags, data sets and metrics."""
    from caer_ros.offline.evaluation import hardest, results
    from caer_ros.offline.metrics.joined import join
    from caer_ros.recordings import whole_file
    from caer_ros.recordings.annotations import own
    from caer_ros.recordings.annotations.sample import DatasetError

    if len(args.results) > 2:
        raise argparse.ArgumentTypeError("give one RESULT, or two")
    if args.output.exists() and (not args.output.is_dir() or any(args.output.iterdir())):
        raise DatasetError(f"{args.output} exists already and is not empty: choose another --output")
    read = [results.read(folder) for folder in args.results]
    dataset, tables = read[0].dataset, [result.predictions for result in read]
    if len(tables) == 1:  # whether boxes of another kind are fine, the evaluation was asked
        ranked = hardest.by_loss(join(dataset.samples, tables[0], any_box_kind=True))
    else:
        ranked = hardest.by_disagreement(*tables)
    stamps = {sample.image_id: sample.stamp for sample in dataset.samples if sample.stamp is not None}
    chosen = hardest.spread([hard for hard in ranked if hard.image_id in stamps], stamps, args.count, args.apart)
    written = _extract(_bags(read[0], args.bag), chosen, stamps, args.output)
    whole_file.write_text(args.output / own.WHOLE, own.dumps(_only(dataset, written)))
    for hard in chosen:
        print(f"{hard.hardness:.3f}  {hard.image_id}{'' if hard.image_id in written else '  (not readable, left out)'}")
    print(f"{len(written)} of {len(ranked)} frames: {args.output / own.WHOLE}")
    return 0


def _bags(result: Result, moved: Path | None) -> list[tuple[str, Path, str]]:
    """Prefix of the image ids, path and image topic of each bag that was evaluated."""
    from caer_ros.recordings.annotations.sample import DatasetError

    bags = result.metrics.get("bags")
    if not bags:
        raise DatasetError(
            f"{result.folder}: of a data set, whose pictures are there; give a result of caer evaluate bag"
        )
    if moved and len(bags) > 1:
        raise DatasetError(f"--bag: {len(bags)} bags were evaluated together; put them back where they were")
    prefixes = [f"{bag['name']}/" if len(bags) > 1 else "" for bag in bags]
    paths = [moved or Path(bag["path"]) for bag in bags]
    return list(zip(prefixes, paths, [str(bag["image_topic"]) for bag in bags], strict=True))


def _extract(
    bags: list[tuple[str, Path, str]], chosen: list[Hard], stamps: dict[str, int], output: Path
) -> dict[str, str]:
    """Writes the pictures; file name of each image id that could be read."""
    import dataclasses
    import sys

    from caer_ros.recordings import frames, picture_files

    written: dict[str, str] = {}
    for prefix, path, topic in bags:
        wanted = {
            stamps[hard.image_id]: hard.image_id
            for hard in chosen
            if hard.image_id == f"{prefix}{frames.frame_name(topic, stamps[hard.image_id])}"
        }
        problems: list[str] = []
        for frame in frames.at(path, topic, wanted, problems):
            named = dataclasses.replace(frame, name=prefix + frame.name)
            written[wanted[frame.stamp_ns]] = picture_files.write(output, named)
        for problem in problems:
            print(problem, file=sys.stderr)
    return written


def _only(dataset: Dataset, written: dict[str, str]) -> Dataset:
    """The samples of these images, named by their files."""
    from dataclasses import replace

    samples = [replace(s, image_id=written[s.image_id]) for s in dataset.samples if s.image_id in written]
    return replace(dataset, samples=tuple(samples))
