"""Train a student, or one of its teachers, as a configuration says; a run that was stopped goes on where it was."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer train``."""
    parser.add_argument("--print-config", action="store_true", help="print the whole configuration and train nothing")
    parser.add_argument(
        "--fields", action="store_true", help="explain every field of a configuration, and train nothing"
    )
    parser.add_argument(
        "config", metavar="CONFIG", nargs="?", help='a YAML file, or the name of one of ours, such as "ka_heco"'
    )
    parser.add_argument(
        "overrides",
        metavar="FIELDS",
        nargs=argparse.REMAINDER,
        help="fields that differ, such as --data.root /data/heco --output runs/ka --trainer.epochs 3",
    )


def run(args: argparse.Namespace) -> int:
    """Train, and print where the best network is."""
    from caer_ros.offline.training import configuration
    from caer_ros.offline.training.config import ConfigError

    if args.fields:
        print(configuration.explanation())
        return 0
    if args.config is None:
        raise argparse.ArgumentTypeError("which configuration? Name a YAML file, or one of ours: see --help")
    try:
        config = configuration.read(args.config, args.overrides)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if args.print_config:
        print(configuration.dump(config), end="")
        return 0

    from lightning.fabric.utilities.rank_zero import rank_zero_only

    from caer_ros.offline.training.run import train

    result = train(config)
    if rank_zero_only.rank:  # type: ignore[attr-defined]
        return 0  # the first of several processes speaks for all
    metrics = {name: value for name, value in result.metrics.items() if name.startswith("val/")}
    print(f"{result.best}: epoch {result.best_epoch}, the best of {result.epochs}")
    print("  " + ", ".join(f"{name.removeprefix('val/')} {value:.4g}" for name, value in metrics.items()))
    return 0
