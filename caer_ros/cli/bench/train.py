"""Measure training: images a second of the loader alone, of the training step alone, and of both together; and memory.

The student of the paper (HRNet-W32 at 512x512, batches of 20, baseline recipe) unless told otherwise, with random
weights, through the data loader and the losses that `caer train` uses. Without --data on rendered pictures of 640x480.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caer_ros.cli.arguments import not_negative, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from lightning.fabric import Fabric

    from caer_ros.cli.bench.figures import Table
    from caer_ros.offline.training.config import TrainConfig
    from caer_ros.recordings.annotations.sample import Dataset

FORMAT = "caer bench train"
FORMAT_VERSION = 1
PICTURES = 64
"""Number of pictures that are rendered; they are read again and again, as often as needed."""
WARM_UP = 2
"""Steps before the first that counts."""


class BenchError(Exception):
    """The training cannot be measured here; says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer bench train``."""
    parser.add_argument("--backbone", default="hrnet_w32", help="of timm (default: %(default)s)")
    parser.add_argument("--size", type=whole, default=512, help="side of the input in pixels (default: %(default)s)")
    parser.add_argument("--batch", type=whole, default=20, help="images in a step (default: %(default)s)")
    parser.add_argument("--steps", type=whole, default=20, help="that are measured (default: %(default)s)")
    parser.add_argument(
        "--workers", type=not_negative, default=4, help="processes that load images (default: %(default)s)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda:N (default: %(default)s)")
    parser.add_argument(
        "--precision", choices=("32", "bf16-mixed", "16-mixed"), default="32", help="default: %(default)s"
    )
    parser.add_argument(
        "--data", nargs=2, metavar=("NAME", "PATH"), help="a data set of `caer data check` instead of rendered pictures"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there, too")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Measure, and print what came out. Raises BenchError, ConfigError, DatasetError or BackboneError."""
    import json
    from tempfile import TemporaryDirectory

    from caer_ros.cli.bench import figures

    with TemporaryDirectory(prefix="caer_bench_") as folder:
        name, root = args.data or ("own", str(render(Path(folder) / "pictures")))
        report = measure(args, name, Path(root))
    if args.out:
        args.out.write_text(json.dumps(report, indent=1) + "\n", "utf8")
    print(json.dumps(report)) if args.json else figures.show(tables(report))
    return 0


def render(folder: Path) -> Path:
    """A data set of synthetic people, of whom ``PICTURES`` pictures are to learn from."""
    from caer_ros.offline.data.synthetic import cues, folders, plans

    return folders.write("own", folder, {"train": PICTURES, "val": 0}, plans.Settings(cues.Dials(), 640, 480))


def measure(args: argparse.Namespace, name: str, root: Path) -> dict[str, Any]:
    """All three rates; returns the report."""
    import os

    import torch
    from lightning.fabric import Fabric

    from caer_ros.cli.bench import figures
    from caer_ros.offline import data, systems
    from caer_ros.offline.training import configuration
    from caer_ros.offline.training.run import torch_settings

    accelerator, devices = _device(args.device)
    workers = min(args.workers, os.cpu_count() or 1)  # as the loader does
    settings = configuration.read(
        "baseline_heco",
        [
            *("--output=", f"--data.name={name}", f"--data.root={root}", f"--data.size=[{args.size},{args.size}]"),
            *(f"--data.batch={args.batch}", f"--data.workers={workers}", f"--model.backbone={args.backbone}"),
            *("--model.weights=null", f"--trainer.precision={args.precision}", f"--trainer.accelerator={accelerator}"),
        ],
    )
    dataset = data.load(name, root, "train")
    with torch_settings(settings):
        fabric = Fabric(accelerator=accelerator, devices=devices, precision=args.precision)
        fabric.launch()
        task = systems.of(settings.task).task(settings, len(dataset.labels), dataset.multi_label)
        optimiser = torch.optim.AdamW(task.parameters(), settings.optimiser.learning_rate, weight_decay=0.0)
        model, optimiser_ = fabric.setup(task, optimiser)
        model.train()

        def step(batch: Any) -> None:
            parts = model(batch.to(fabric.device)).losses
            optimiser_.zero_grad()
            fabric.backward(torch.stack([part.value for part in parts.values()]).sum())
            optimiser_.step()

        try:
            rates = measure_rates(dataset, settings, fabric, step, args.steps)
        except torch.OutOfMemoryError as error:
            raise BenchError(f"out of memory with a batch of {args.batch}; choose a smaller --batch") from error
        memory = peak_memory(fabric.device)
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "date": figures.now(),
        "machine": describe(fabric.device),
        "settings": {
            "backbone": args.backbone,
            "parameters": sum(parameter.numel() for parameter in task.network.parameters()),
            "size": args.size,
            "batch": args.batch,
            "steps": args.steps,
            "workers": workers,
            "precision": args.precision,
            "data": name if args.data else "synthetic",
        },
        "images_per_second": rates,
        "loading_keeps_up": rates["loader"] >= rates["step"],
        "peak_memory_mb": memory,
    }


def measure_rates(
    dataset: Dataset, settings: TrainConfig, fabric: Fabric, step: Callable[[Any], None], steps: int
) -> dict[str, float]:
    """Images a second: "loader" alone, "step" alone on one batch, "training" with both."""
    from statistics import median
    from time import perf_counter

    batch = settings.data.batch
    batches = loading(dataset, settings, steps)
    example = next(batches)
    in_advance = 2 * settings.data.workers  # batches that cost nothing once the clock runs: use them up
    for _ in range(in_advance):
        next(batches)
    begin = perf_counter()
    for _ in range(steps):
        next(batches)
    loader = batch * steps / (perf_counter() - begin)

    def timed(one: Any) -> float:
        begin = perf_counter()
        step(one)
        _synchronise(fabric.device)
        return perf_counter() - begin

    for _ in range(WARM_UP):
        timed(example)
    alone = batch / median(timed(example) for _ in range(steps))

    batches = loading(dataset, settings, steps)
    for _ in range(WARM_UP + in_advance):
        step(next(batches))
    _synchronise(fabric.device)
    begin = perf_counter()
    for _ in range(steps):
        step(next(batches))
    _synchronise(fabric.device)
    training = batch * steps / (perf_counter() - begin)
    return {"loader": round(loader, 2), "step": round(alone, 2), "training": round(training, 2)}


def loading(dataset: Dataset, settings: TrainConfig, steps: int) -> Iterator[Any]:
    """Augmented batches in one epoch that is long enough: between two epochs the workers would pause."""
    from dataclasses import replace
    from math import ceil

    from caer_ros.offline import systems
    from caer_ros.offline.training.loader import TrainOrder, loader

    wanted = settings.data.batch * (1 + WARM_UP + steps + 2 * settings.data.workers)
    repeated = replace(dataset, samples=dataset.samples * ceil(wanted / max(1, len(dataset.samples))))
    system = systems.of(settings.task)
    examples = system.examples(settings, repeated, settings.trainer.seed)
    order = TrainOrder(len(examples), settings.data.batch, settings.trainer.seed)
    return iter(loader(examples, system.collate, order, settings.data.workers))


def peak_memory(device: torch.device) -> dict[str, float]:
    """Megabytes (10^6): of a GPU what tensors held and what torch had reserved, else resident in this process."""
    import resource

    import torch

    if device.type == "cuda":
        allocated, reserved = torch.cuda.max_memory_allocated(device), torch.cuda.max_memory_reserved(device)
        return {"allocated": round(allocated / 1e6, 1), "reserved": round(reserved / 1e6, 1)}
    return {"resident": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, 1)}


def describe(device: torch.device) -> dict[str, Any]:
    """What it ran on."""
    import os
    import platform

    import lightning
    import torch

    import caer_ros
    from caer_ros import processor

    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "cpu": processor.name(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "load_average": round(os.getloadavg()[0], 2),
        "versions": {
            "caer_ros": caer_ros.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "lightning": lightning.__version__,
        },
    }


def tables(report: dict[str, Any]) -> list[Table]:
    """A report's table."""
    from caer_ros.cli.bench.figures import Table

    machine, settings, rates = report["machine"], report["settings"], report["images_per_second"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    memory = ", ".join(f"{amount:.0f} MB {name}" for name, amount in report["peak_memory_mb"].items())
    answer = "yes" if report["loading_keeps_up"] else "no: more --workers, or data.cache in training"
    rows = [
        ("student", f"{settings['backbone']}, {settings['parameters'] / 1e6:.1f} M parameters"),
        (
            "input",
            f"{settings['size']}x{settings['size']}, batch {settings['batch']}, precision {settings['precision']}",
        ),
        ("data", f"{settings['data']}, {settings['workers']} workers"),
        ("device", f"{machine['device']}; {machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads"),
        ("load average after", f"{machine['load_average']}"),
        ("versions", versions),
        ("measured", f"{report['date']}, {settings['steps']} steps"),
        ("loader alone", f"{rates['loader']:.1f} images/s"),
        ("training step alone", f"{rates['step']:.1f} images/s"),
        ("training", f"{rates['training']:.1f} images/s"),
        ("does loading keep up?", answer),
        ("peak memory", memory),
    ]
    return [Table("Training", ("what", "value"), rows)]


def _device(text: str) -> tuple[str, Any]:
    """Lightning's words for a device."""
    if text in ("auto", "cpu"):
        return text, 1
    kind, _, index = text.partition(":")
    if kind != "cuda" or not index.isdecimal():
        raise argparse.ArgumentTypeError(f"--device: must be auto, cpu or cuda:N, not {text!r}")
    return "cuda", [int(index)]


def _synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was told."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
