"""Render a data set of people whose emotions are known, in the format of a real one, or a bag with ground truth.

Emotions show in the face, the posture and the scene around; a dial for each says how much it tells. At the end the best
average precision that perfect perception could reach is printed, with the scene and without it. How every picture came
about stands in ``truth.jsonl``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from caer_ros.cli.arguments import not_negative, part, whole

if TYPE_CHECKING:
    from caer_ros.offline.data.synthetic.plans import Settings

FORMATS = ("emotic", "heco", "affectnet", "affectnet_npy", "emoset", "coco", "own")
PARTS = {"train": 0.7, "val": 0.1, "test": 0.2}
"""Parts of ``--images``; train also gets what a format without a test part leaves over."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer data synthetic``."""
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the data set, or of the bag; made new")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--format", choices=FORMATS, help="write a data set of this format")
    what.add_argument("--bag", action="store_true", help="write an mcap bag with a ground-truth topic, and truth.json")
    parser.add_argument("--images", type=whole, default=1000, metavar="N", help="of all splits (default: 1000)")
    parser.add_argument("--seed", type=not_negative, default=0, metavar="S", help="0 or more (default: 0)")
    parser.add_argument("--size", type=_size, default=(320, 240), metavar="WxH", help="pixels (default: 320x240)")
    for dial, default in (("face", 0.8), ("posture", 0.5), ("scene", 0.7)):
        parser.add_argument(
            f"--{dial}", type=part, default=default, metavar="0..1", help=f"what it tells (default: {default})"
        )
    parser.add_argument("--hidden", type=part, default=0.25, metavar="0..1", help="faces turned away (default: 0.25)")
    parser.add_argument("--processes", type=whole, default=2, metavar="N", help="that draw (default: 2)")
    parser.add_argument("--rate", type=whole, default=10, metavar="HZ", help="of a bag's camera (default: 10)")
    parser.add_argument(
        "--scenes", type=whole, default=1, metavar="N", help="of a bag, one after the other (default: 1)"
    )


def run(args: argparse.Namespace) -> int:
    """Write it. Raises DatasetError where OUT is not empty."""
    from caer_ros.offline.data.synthetic import bags, cues, folders, plans

    width, height = args.size
    dials = cues.Dials(args.face, args.posture, args.scene, args.hidden)
    settings = plans.Settings(dials, width, height)
    if args.bag:
        made = bags.write(args.out, settings, args.seed, args.images, runs=args.scenes, rate=args.rate)
        print(f"{made.bag}\n{made.truth}")
    else:
        counts = parts(args.images, folders.FORMATS[args.format].splits)
        folders.write(args.format, args.out, counts, settings, args.seed, args.processes)
        print(f"{args.out}: " + ", ".join(f"{count} {split}" for split, count in counts.items()))
    print(bound(args.format or "own", settings))
    return 0


def parts(images: int, splits: tuple[str, ...]) -> dict[str, int]:
    """How many images each split gets."""
    counts = {split: round(images * PARTS[split]) for split in splits if split != "train"}
    return {"train": images - sum(counts.values())} | counts


def bound(form: str, settings: Settings) -> str:
    """One line: the best mean average precision in per cent."""
    from caer_ros.offline.data.synthetic import cues

    if form not in ("emotic", "heco", "own"):
        return "every label can be seen: the best possible mAP is 100.0"
    table = cues.EMOTIC_TABLE if form == "emotic" else None
    with_scene, without = (100 * cues.best_ap(settings.dials, sees, table) for sees in (cues.CUES, ("face", "posture")))
    return f"best possible mAP {with_scene:.1f}, from the person alone {without:.1f}"


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and min(int(width), int(height)) >= 64):
        raise argparse.ArgumentTypeError(f"{text!r}: give width and height, 64 or more each, such as 320x240")
    return int(width), int(height)
