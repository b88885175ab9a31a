"""Play a bag in real time into the real node, and hold what it published against limits: a regression test for CI.

Node and player are processes of their own, in a ROS domain of their own (or in ROS_DOMAIN_ID, where it is set); the
images keep their stamps, and /clock tells the bag's time. What the node publishes is recorded and evaluated as `caer
evaluate bag --recorded` does it. The ground truth is --truth, else ground_truth.json beside the bag, else the bag's
topic /ground_truth/persons. Exit code 1 where a limit is not kept or something fails, 2 where a limit is no limit.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caer_ros.cli.arguments import not_negative_number, positive
from caer_ros.perception.bundle.finding import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from caer_ros.cli.bag.limits import Limit, Verdict
    from caer_ros.cli.demo.performance import Takings
    from caer_ros.offline.evaluation.bags.bag_summary import BagEvaluation
    from caer_ros.recordings.annotations.sample import Dataset

FORMAT = "caer bag bench"
FORMAT_VERSION = 1
MARKER = ".caer_bag_bench"
MESSAGES = "messages"
BENCH = "bench.json"


class BenchError(Exception):
    """A limit was not kept; says which."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer bag bench``."""
    parser.add_argument("bag", type=Path, metavar="BAG", help="rosbag2; its camera with most images is taken")
    parser.add_argument(
        "--truth", type=Path, metavar="FILE", help='json of the format "own", such as the demo\'s ground_truth.json'
    )
    parser.add_argument("--limits", type=Path, metavar="FILE", help="YAML such as config/bag_bench.yaml")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML there: one test case a limit")
    parser.add_argument("--model", default=DEFAULT, help="model bundle, a name or a path (default: %(default)s)")
    parser.add_argument(
        "--device", default="auto", help="where the model runs: auto, cpu, cuda:N, tensorrt:N (default: %(default)s)"
    )
    parser.add_argument(
        "--deadline",
        type=not_negative_number,
        default=0.2,
        metavar="SECONDS",
        help="how long after an image its answer is taken, in the bag's time (default: %(default)s)",
    )
    parser.add_argument(
        "--rate",
        type=positive,
        default=1.0,
        help="times real time; all times that are reported are the bag's (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help=f"keep the node's messages ({MESSAGES}, a bag), logs and the evaluation; emptied when it is ours",
    )
    parser.add_argument("--json", action="store_true", help="print JSON on stdout, all else on stderr")


def run(args: argparse.Namespace) -> int:
    """Play, evaluate, judge. Returns 0; raises BenchError, DemoError, and the errors of bags, annotations, metrics."""
    from rich.console import Console

    signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))  # a closed terminal ends our processes, too
    console = Console(stderr=args.json, highlight=False, soft_wrap=not sys.stdout.isatty())
    limits = _limits(args)
    started = time.monotonic()
    try:
        evaluation = measure(args, console)
    except Exception as error:
        _write_failure(args, limits, str(error), time.monotonic() - started)
        raise
    return _report(args, limits, evaluation, time.monotonic() - started, console)


def _limits(args: argparse.Namespace) -> tuple[Limit, ...]:
    """Read the limits in the file. Remove an older JUnit file: whatever happens, CI must not read the last run's."""
    from caer_ros.cli.bag import limits
    from caer_ros.cli.bag.bench_metrics import METRICS

    if args.junit and not args.limits:
        raise argparse.ArgumentTypeError("--junit: there is nothing to write without --limits")
    if args.junit:
        args.junit.parent.mkdir(parents=True, exist_ok=True)
        args.junit.unlink(missing_ok=True)
    try:
        return limits.read(args.limits, METRICS) if args.limits else ()
    except limits.LimitsError as error:
        raise argparse.ArgumentTypeError(f"--limits {error}") from None


# --- Play and evaluate ---------------------------------------------------------------------------------------------


def measure(args: argparse.Namespace, console: Console) -> BagEvaluation:
    """Play the bag into the node, and evaluate what it published."""
    from tempfile import TemporaryDirectory

    from caer_ros.cli.console import domain, recorder
    from caer_ros.cli.console.output_folder import Output
    from caer_ros.cli.demo.performance import Scenario, perform
    from caer_ros.recordings.annotations import truth as annotated

    scenario = Scenario.without_truth(args.bag)
    truth = annotated.of_bag(args.bag, scenario.camera.topic, args.truth)
    with ExitStack() as stack:
        if args.output:
            out = Output("bag bench", "--output", MARKER, ours()).prepare(args.output)
        else:
            out = Path(stack.enter_context(TemporaryDirectory(prefix="caer_bag_bench_")))
            (out / "logs").mkdir()
        own = os.environ.get("ROS_DOMAIN_ID")
        domain.enter(int(own) if own else None, out / "logs" / "ros")
        takings = perform(scenario, args, out, console)
        _refuse_silence(takings)
        recorder.write(out / MESSAGES, takings.recorded)
        return _evaluate(args, truth, out, console)


def ours() -> frozenset[str]:
    """What is in an output folder beside marker and logs."""
    from caer_ros.offline.evaluation import results

    return results.FILES | {MESSAGES, BENCH}


def _refuse_silence(takings: Takings) -> None:
    if not takings.messages:
        from caer_ros.cli.demo.performance import DemoError

        reason = takings.status.reason or takings.status.last_error or "it gives no reason"
        raise DemoError(f"the node said nothing about {takings.report['images']} images: {reason}")


def _evaluate(args: argparse.Namespace, truth: Dataset, out: Path, console: Console) -> BagEvaluation:
    """Evaluate as `caer evaluate bag BAG --recorded OUT/messages` does."""
    from caer_ros.offline.evaluation.bags import bag_evaluate, bag_inputs, bag_sets
    from caer_ros.offline.reports import bag_tables

    (name,) = bag_sets.names([args.bag])
    annotated = bag_inputs.of(args.bag, name, truth, "the ground truth")
    settings = bag_evaluate.Settings(("caer", *sys.argv[1:]), output=out if args.output else None)
    result, joined = bag_evaluate.recorded([annotated], [out / MESSAGES], settings, args.deadline)
    bag_tables.show(result, console)
    if args.output:
        console.print(bag_evaluate.finish(result, joined, out), soft_wrap=True, highlight=False)
    return result


# --- What it says --------------------------------------------------------------------------------------------------


def _report(
    args: argparse.Namespace, limits: Sequence[Limit], evaluation: BagEvaluation, seconds: float, console: Console
) -> int:
    """Judge, print, write. Returns 0; raises BenchError where a limit was not kept."""
    from caer_ros.cli.bag import bench_metrics
    from caer_ros.cli.bag.limits import judge, table

    values = bench_metrics.values(evaluation)
    verdicts = judge(limits, values, bench_metrics.needs())
    if verdicts:
        console.print(table(verdicts))
    content = json.dumps(_content(values, verdicts, evaluation, seconds))
    if args.output:
        (args.output / BENCH).write_text(content + "\n", "utf-8")
    if args.json:
        print(content)
    if args.junit:
        facts = {"model": f"{evaluation.model.model} {evaluation.model.model_version}", **_facts(args)}
        _write_junit(args, verdicts, seconds, facts)
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if failed:
        named = "; ".join(f"{verdict.limit.metric}: {verdict.problem}" for verdict in failed)
        raise BenchError(f"{len(failed)} of {len(verdicts)} limits were not kept: {named}")
    return 0


def _content(
    values: dict[str, float], verdicts: Sequence[Verdict], evaluation: BagEvaluation, seconds: float
) -> dict[str, Any]:
    """Report for a program; what was not measured is None."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "passed": all(verdict.passed for verdict in verdicts),
        "limits": [verdict.to_dict() for verdict in verdicts],
        "values": {name: value if math.isfinite(value) else None for name, value in values.items()},
        "seconds": round(seconds, 3),
        "evaluation": evaluation.to_dict(),
    }


def _write_failure(args: argparse.Namespace, limits: Sequence[Limit], reason: str, seconds: float) -> None:
    """A run that broke off kept no limit, and CI must see that."""
    if args.junit:
        from caer_ros.cli.bag.limits import unmeasured

        _write_junit(args, unmeasured(limits, " ".join(reason.split())), seconds, _facts(args))


def _write_junit(args: argparse.Namespace, verdicts: Sequence[Verdict], seconds: float, facts: dict[str, str]) -> None:
    from caer_ros.cli.bag.limits import junit
    from caer_ros.recordings.sources import BAG_FILES

    bag = args.bag.resolve()
    name = bag.stem if bag.suffix in BAG_FILES else bag.name
    suite = f"caer_bag_bench.{name.replace('.', '_')}"  # Jenkins takes what ends in a full stop for a package
    args.junit.write_text(junit(verdicts, suite, seconds, facts), "utf-8")


def _facts(args: argparse.Namespace) -> dict[str, str]:
    return {"bag": str(args.bag), "deadline": f"{args.deadline:g} s", "rate": f"{args.rate:g}"}
