"""A training run: the loop, and how it goes on after whatever stopped it.

Nothing of a step depends on what happened before but the network, the optimiser and the step's number: the learning
rate and all seeds are functions of that. So a run that goes on from ``last.ckpt`` ends where an unbroken one does,
bitwise on the CPU.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from caer_ros import __version__
from caer_ros.offline import systems
from caer_ros.offline.training import checkpoint, configuration
from caer_ros.offline.training.checkpoint_card import CheckpointCard, plain_card
from caer_ros.offline.training.config import ConfigError
from caer_ros.offline.training.folder import Folder, Row, commit
from caer_ros.offline.training.loader import TrainOrder, ValidationOrder, described, loader, mixed
from caer_ros.offline.training.measures import Means, Outcomes
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lightning.fabric.wrappers import _FabricModule, _FabricOptimizer

    from caer_ros.offline.training.config import OptimiserConfig, TrainConfig
    from caer_ros.offline.training.task import Loss
    from caer_ros.recordings.annotations.sample import Dataset

_log = logging.getLogger(__name__)


class TrainingError(Exception):
    """A training that cannot go on; says why, and the remedy."""


@dataclass(frozen=True)
class RunResult:
    """What a finished run leaves."""

    folder: Path
    best: Path
    """Checkpoint of the best epoch: the lowest total validation loss, or what ``Task.highest`` says."""
    last: Path
    """Checkpoint of the last epoch, from which the run can go on."""
    epochs: int
    best_epoch: int
    metrics: dict[str, float]
    """The best epoch's row of metrics.csv."""


@dataclass
class Progress:
    """Where a run stands; what a checkpoint holds beside weights."""

    epoch: int = 0
    """Finished epochs."""
    batch: int = 0
    """Finished batches of the epoch now running."""
    means: Means = field(default_factory=Means)
    """Losses of those batches."""
    row: Row = field(default_factory=dict)
    """Row of the last finished epoch, as in metrics.csv."""
    best: Row = field(default_factory=dict)
    """Row of the best epoch so far: the lowest total validation loss, or what ``Task.highest`` says."""


def train(config: TrainConfig, data: tuple[Dataset, Dataset] | None = None) -> RunResult:
    """Train, or go on with the run in ``config.output``; a run that is finished already is only reported.

    Args:
        config: all that matters.
        data: training and validation split, instead of those that ``config.data`` names.

    Raises:
        ConfigError: fields that contradict each other, the data or the folder; a folder whose run cannot go on.
        DatasetError: data that cannot be read.
        BackboneError, CheckpointError: weights or teachers that cannot be had or do not fit.
        TrainingError: the loss is no number, or a worker process died.
    """
    folder = Folder(config)
    with torch_settings(config):
        fabric = Fabric(
            accelerator=config.trainer.accelerator,
            strategy=config.trainer.strategy,
            devices=config.trainer.devices,
            num_nodes=config.trainer.num_nodes,
            precision=config.trainer.precision,
        )
        fabric.launch()
        return _Run(config, folder, fabric, data or _load(config)).finish()


def learning_rate(config: OptimiserConfig, step: int, steps_per_epoch: int, epochs: int) -> float:
    """That of a step, counted from 0: a function of the configuration alone."""
    warmup = config.warmup_epochs * steps_per_epoch
    if step + 1 < warmup:
        return config.learning_rate * (step + 1) / warmup
    if config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "step":
        return config.learning_rate * (0.1 if step >= config.drop_epoch * steps_per_epoch else 1)
    part = (step - warmup) / max(epochs * steps_per_epoch - warmup, 1)
    return config.learning_rate * (1 + math.cos(math.pi * max(part, 0))) / 2


class _Run:
    """One process of a run."""

    def __init__(self, config: TrainConfig, folder: Folder, fabric: Fabric, data: tuple[Dataset, Dataset]) -> None:
        self.config, self.folder, self.fabric = config, folder, fabric
        self.train_set, val_set = data
        _check_alike(self.train_set, val_set)
        seed, self.system = config.trainer.seed, systems.of(config.task)
        examples = self.system.examples(config, self.train_set, seed)
        self.extra = examples.extra_seen
        """What is learnt from beside the training set, for a person to read."""
        rank, processes = fabric.global_rank, fabric.world_size
        self.order = TrainOrder(len(examples), config.data.batch, seed, rank, processes)
        val_examples = self.system.examples(config, val_set, None)
        val_order = ValidationOrder(len(val_examples), config.data.batch // processes, rank, processes)
        pin = fabric.device.type == "cuda"
        collate, workers = self.system.collate, config.data.workers
        self.batches = loader(examples, collate, self.order, workers, pin)
        self.val_batches = loader(val_examples, collate, val_order, workers, pin)

        saved = checkpoint.load(folder.last) if folder.last.exists() else None
        if saved is not None:
            self._check_same_data(checkpoint.card_of(saved, folder.last))
        torch.manual_seed(seed)
        labels, multi_label = len(self.train_set.labels), self.train_set.multi_label
        self.task = self.system.task(config, labels, multi_label, initialise=saved is None)
        if config.trainer.sync_batchnorm and processes > 1:
            self.task = nn.SyncBatchNorm.convert_sync_batchnorm(self.task)  # type: ignore[no-untyped-call]
        # AdamW without weight decay is Adam, as in the paper.
        optimiser = torch.optim.AdamW(
            self.task.parameter_groups(), config.optimiser.learning_rate, weight_decay=config.optimiser.weight_decay
        )
        self.model: _FabricModule
        self.optimiser: _FabricOptimizer
        self.model, self.optimiser = fabric.setup(self.task, optimiser)
        self.progress = Progress()
        if saved is not None:
            self._restore(saved)

    def finish(self) -> RunResult:
        """Train the epochs that are left."""
        progress, epochs = self.progress, self.config.trainer.epochs
        with ExitStack() as stack:
            bar = None
            write: Callable[[Row], None] | None = None
            if self.fabric.is_global_zero and progress.epoch < epochs:
                self.folder.create(self.config)
                stack.enter_context(self.folder.logging())
                write = stack.enter_context(_recorder(self.folder, progress.epoch))
                bar = stack.enter_context(_bar(epochs * len(self.order)))
                self._say_beginning()
            self.fabric.barrier()
            while progress.epoch < epochs:
                row = self._epoch(bar)
                if not math.isfinite(row["train/total"]) or not math.isfinite(row["val/total"]):
                    raise TrainingError(
                        f"{self.folder.path}: the loss is no number in epoch {progress.epoch + 1}; the last checkpoint "
                        "is of before. Lower optimiser.learning_rate, or set optimiser.clip"
                    )
                progress.epoch, progress.batch, progress.means, progress.row = progress.epoch + 1, 0, Means(), row
                improved = self._is_better(row)
                if improved:
                    progress.best = row
                if write:
                    write(row)
                    if improved:
                        checkpoint.save(self._trained(), self.folder.best)
                    _log.info("%s%s", _in_words(row, epochs), ", best so far" if improved else "")
                self._save()
        return RunResult(
            self.folder.path,
            self.folder.best,
            self.folder.last,
            progress.epoch,
            int(progress.best["epoch"]),
            progress.best,
        )

    def _epoch(self, bar: Callable[[], None] | None) -> Row:
        """Train one epoch, or what is left of it, and validate: its row of metrics.csv."""
        progress, config = self.progress, self.config
        begin, first = time.monotonic(), progress.batch
        self.order.epoch, self.order.first = progress.epoch, first
        self.model.train()
        rate = 0.0
        for batch in _whole(self.batches):
            step = progress.epoch * len(self.order) + progress.batch
            # For dropout and stochastic depth; each process draws its own.
            torch.manual_seed(mixed(config.trainer.seed, step, self.fabric.global_rank))
            rate = learning_rate(config.optimiser, step, len(self.order), config.trainer.epochs)
            for group in self.optimiser.param_groups:
                group["lr"] = rate * group["scale"]
            parts = self.model(batch.to(self.fabric.device)).losses
            self.optimiser.zero_grad()
            self.fabric.backward(self._total(parts))
            if config.optimiser.clip:
                self.fabric.clip_gradients(self.model, self.optimiser, config.optimiser.clip, error_if_nonfinite=False)
            self.optimiser.step()
            progress.means.add(parts)
            progress.batch += 1
            if bar:
                bar()
            every = config.trainer.checkpoint_steps
            if every and (step + 1) % every == 0 and progress.batch < len(self.order):
                self._save()
        row = {"epoch": progress.epoch + 1, "learning_rate": rate}
        row |= {f"train/{name}": value for name, value in progress.means.result(self.fabric).items()}
        seconds = time.monotonic() - begin
        images = (progress.batch - first) * config.data.batch
        row |= {f"val/{name}": value for name, value in self._validate().items()}
        return row | {"seconds": round(seconds, 3), "images_per_second": round(images / seconds, 2)}

    def _total(self, parts: dict[str, Loss]) -> Tensor:
        """Eq. 9, such that the mean of the processes' gradients is that of the whole batch.

        Each part is divided by the persons of a process, but has to be by those of all.
        """
        values = torch.stack([part.value for part in parts.values()])
        if self.fabric.world_size > 1:
            numbers = torch.stack([part.number for part in parts.values()]).float()
            everywhere = self.fabric.all_reduce(numbers.clone(), reduce_op="sum")
            assert isinstance(everywhere, Tensor)
            values = values * numbers.clamp(min=1) * self.fabric.world_size / everywhere.clamp(min=1)
        return values.sum()

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        self.task.eval()
        if self.fabric.world_size > 1:  # each process has batch statistics of its own; the first one's are saved
            for buffer in self.task.buffers():
                torch.distributed.broadcast(buffer, 0)
        means, outcomes = Means(), Outcomes(self.train_set.multi_label)
        with self.fabric.autocast():
            for batch in _whole(self.val_batches):
                step = self.task(batch.to(self.fabric.device))
                means.add(step.losses)
                outcomes.add(step)
        return means.result(self.fabric) | outcomes.result(self.fabric)

    def _is_better(self, row: Row) -> bool:
        best = self.progress.best
        if not best:
            return True
        if highest := self.task.highest:
            return row.get(highest, 0) > best.get(highest, 0)
        return row["val/total"] < best["val/total"]

    def _save(self) -> None:
        """Write last.ckpt: all that a restart needs."""
        progress = self.progress
        sums = progress.means.sums(self.fabric)
        if not self.fabric.is_global_zero:
            return
        state = {name: value for name, value in self.task.state_dict().items() if not name.startswith("teachers.")}
        # Within an epoch nobody has looked at the losses yet. The weights are a step ahead of them.
        sound = all(math.isfinite(value) for value, _ in sums.values())
        if progress.batch and not (sound and all(value.isfinite().all() for value in state.values())):
            return
        content = self._trained() | {
            "state_dict": state,
            "optimizer_states": [self.optimiser.state_dict()],
            "precision": self.fabric.strategy.precision.state_dict(),
            "progress": {
                "epoch": progress.epoch,
                "batch": progress.batch,
                "means": sums,
                "row": progress.row,
                "best": progress.best,
            },
        }
        checkpoint.save(content, self.folder.last)

    def _check_same_data(self, card: CheckpointCard) -> None:
        labels = ", ".join(self.train_set.labels)
        for what, before, now in (("data", card.data, self._seen()), ("labels", ", ".join(card.labels), labels)):
            if before != now:
                raise ConfigError(
                    f"{self.folder.path} holds a run on other {what} ({before} -> {now}): choose another --output, or "
                    "delete that folder"
                )

    def _seen(self) -> str:
        """What it learns from, for a person to read."""
        data = self.train_set
        return described(data) + self.extra

    def _restore(self, saved: dict[str, Any]) -> None:
        missing, left = self.task.load_state_dict(saved["state_dict"], strict=False)
        missing = [name for name in missing if not name.startswith("teachers.")]
        if missing or left:
            raise checkpoint.CheckpointError(f"{self.folder.last}: does not fit its run, at {min([*missing, *left])}")
        self.optimiser.load_state_dict(saved["optimizer_states"][0])
        for group in self.optimiser.param_groups:
            group.setdefault("scale", 1.0)  # checkpoints of before there were several groups do not say it
        self.fabric.strategy.precision.load_state_dict(saved["precision"])
        progress = saved["progress"]
        self.progress = Progress(progress["epoch"], progress["batch"], row=progress["row"], best=progress["best"])
        self.progress.means.load(progress["means"], self.fabric)

    def _trained(self) -> dict[str, Any]:
        """A checkpoint's content for those who use the network: its weights and its card."""
        train_set, config = self.train_set, self.config
        return {
            "state_dict": {checkpoint.PREFIX + name: value for name, value in self.task.network.state_dict().items()},
            "caer": plain_card(
                CheckpointCard(
                    task=config.task,
                    config=configuration.to_dict(config),
                    labels=train_set.labels,
                    known=known_labels(train_set),
                    label_set=train_set.label_set,
                    multi_label=train_set.multi_label,
                    box_kind=train_set.samples[0].box_kind,
                    resize=self.system.rule(config),
                    version=__version__,
                    commit=commit(),
                    data=self._seen(),
                    recipe=self.system.recipe(config),
                    epoch=self.progress.epoch,
                    metrics=self.progress.row,
                )
            ),
        }

    def _say_beginning(self) -> None:
        progress = self.progress
        if progress.epoch or progress.batch:
            _log.info("going on after epoch %d, batch %d", progress.epoch, progress.batch)
        _log.info(
            "%s on %s: %d steps an epoch, %.2f M parameters, %s",
            self.config.task,
            self.train_set.name,
            len(self.order),
            sum(parameter.numel() for parameter in self.task.network.parameters()) / 1e6,
            f"{self.fabric.world_size} x {self.fabric.device.type}",
        )


def _load(config: TrainConfig) -> tuple[Dataset, Dataset]:
    from caer_ros.offline import data as datasets

    root = Path(config.data.root)
    train_set, val_set = (
        datasets.load(config.data.name, root, split) for split in (config.data.train, config.data.val)
    )
    return train_set, val_set


def known_labels(dataset: Dataset) -> tuple[str, ...]:
    """The labels that at least one person was annotated for, with yes or no; nothing is learned about the others."""
    known = ~np.isnan(np.concatenate([sample.emotions for sample in dataset.samples])).all(axis=0)
    return tuple(label for label, annotated in zip(dataset.labels, known, strict=True) if annotated)


def _check_alike(train_set: Dataset, val_set: Dataset) -> None:
    for dataset in (train_set, val_set):
        if not dataset.samples:
            raise DatasetError(f"{dataset.root}: the {dataset.split} split of {dataset.name} is empty")
    if train_set.labels != val_set.labels:
        raise DatasetError(f"{val_set.root}: the splits {train_set.split} and {val_set.split} have different labels")


def _whole(batches: Iterable[Any]) -> Iterator[Any]:
    """The batches; errors of worker processes in the words in which they were raised there."""
    try:
        yield from batches
    except DatasetError as error:
        raise DatasetError(str(error).rstrip().rsplit("DatasetError: ", 1)[-1]) from None
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TrainingError(
            f"a process that loads images died ({str(error).splitlines()[0]}); out of memory? Lower data.workers"
        ) from error


def _in_words(row: Row, epochs: int) -> str:
    shown = [f"{name} {row[key]:.4g}" for name, key in _SHOWN.items() if key in row]
    return f"epoch {row['epoch']:.0f} of {epochs}: {', '.join(shown)}"


_SHOWN = {"train": "train/total", "val": "val/total", "AP": "val/ap", "accuracy": "val/accuracy", "F1": "val/f1"}


@contextmanager
def _recorder(folder: Folder, epoch: int) -> Iterator[Callable[[Row], None]]:
    """Writes each epoch's row to metrics.csv and TensorBoard; those of epochs that are run again are replaced."""
    from torch.utils.tensorboard.writer import SummaryWriter

    rows = folder.rows(before=epoch + 1)
    curves = SummaryWriter(str(folder.curves), purge_step=epoch + 1)

    def write(row: Row) -> None:
        rows.append(row)
        folder.write_rows(rows)
        for name, value in row.items():
            curves.add_scalar(name, value, int(row["epoch"]))
        curves.flush()

    try:
        yield write
    finally:
        curves.close()


@contextmanager
def _bar(steps: int) -> Iterator[Callable[[], None] | None]:
    """Shows progress where a person watches."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as shown:
        task = shown.add_task("", total=steps)
        yield lambda: shown.advance(task)


@contextmanager
def torch_settings(config: TrainConfig) -> Iterator[None]:
    """Threads and determinism for the time of a run."""
    before = torch.get_num_threads(), torch.is_deterministic_algorithms_warn_only_enabled()
    deterministic, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    if config.trainer.threads:
        torch.set_num_threads(config.trainer.threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, CUDA's matrix products are not
    torch.use_deterministic_algorithms(config.trainer.deterministic, warn_only=True)
    torch.backends.cudnn.benchmark = not config.trainer.deterministic
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(deterministic, warn_only=before[1])
        torch.backends.cudnn.benchmark = benchmark
