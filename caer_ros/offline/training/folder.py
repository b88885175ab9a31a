"""The folder of a run: configuration, environment, metrics, curves, log and checkpoints."""

from __future__ import annotations

import csv
import io
import json
import logging
import math
import os
import platform
import subprocess
import sys
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from caer_ros import __version__, share
from caer_ros.offline.training import configuration
from caer_ros.offline.training.config import ConfigError, TrainConfig
from caer_ros.recordings import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGES = ("torch", "torchvision", "lightning", "timm", "numpy", "opencv-python-headless", "opencv-python")

Row = dict[str, float]
"""One epoch of metrics.csv."""


class Folder:
    """Paths and files of one run. Only the first of several processes writes.

    Raises:
        ConfigError: the folder holds another run, something else, or a run without the checkpoint to go on from.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.path = Path(config.output)
        self.config, self.environment = self.path / "config.yaml", self.path / "environment.json"
        self.metrics, self.log, self.curves = (
            self.path / "metrics.csv",
            self.path / "train.log",
            self.path / "tensorboard",
        )
        self.last, self.best = self.path / "checkpoints" / "last.ckpt", self.path / "checkpoints" / "best.ckpt"
        if self.config.exists():
            changed = configuration.differences(configuration.read(str(self.config)), config)
            if changed:
                raise ConfigError(
                    f"{self.path} holds a run of another configuration ({'; '.join(changed)}): choose another "
                    "--output, or delete that folder"
                )
            # A kill between the first best.ckpt and the first last.ckpt leaves one row.
            if not self.last.exists() and len(self.rows()) > 1:
                raise ConfigError(
                    f"{self.path}: metrics.csv knows finished epochs, but checkpoints/last.ckpt is gone, so the run "
                    "cannot go on; use best.ckpt, or delete the folder to train anew"
                )
        # A kill while the configuration is written leaves no more than a part of it.
        elif self.path.exists() and not (self.path.is_dir() and all(p.match(".*.part") for p in self.path.iterdir())):
            raise ConfigError(f"{self.path} is there already, and is no training run: choose another --output")

    def create(self, config: TrainConfig) -> None:
        """Make the folder, and write down what is run, with what."""
        self.path.mkdir(parents=True, exist_ok=True)
        whole_file.write_text(self.config, configuration.dump(config))  # first: it is what makes the folder a run
        self.last.parent.mkdir(exist_ok=True)
        starts = json.loads(self.environment.read_text(encoding="utf-8")) if self.environment.exists() else []
        whole_file.write_text(self.environment, json.dumps([*starts, environment(config)], indent=2) + "\n")

    def rows(self, before: float = math.inf) -> list[Row]:
        """The rows of metrics.csv, or those of the epochs before one, when a run goes on there."""
        if not self.metrics.exists():
            return []
        with self.metrics.open(newline="", encoding="utf-8") as file:
            rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
        return [row | {"epoch": int(row["epoch"])} for row in rows if row["epoch"] < before]

    def write_rows(self, rows: list[Row]) -> None:
        """Write metrics.csv anew."""
        names = list(dict.fromkeys(name for row in rows for name in row))
        table = io.StringIO()
        writer = csv.DictWriter(table, names)
        writer.writeheader()
        writer.writerows(rows)
        whole_file.write_text(self.metrics, table.getvalue())

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Write what ``caer_ros.offline`` logs to train.log."""
        log = logging.getLogger("caer_ros.offline")
        handler = logging.FileHandler(self.log, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        level = log.level
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        try:
            yield
        finally:
            log.removeHandler(handler)
            log.setLevel(level)
            handler.close()


def environment(config: TrainConfig) -> dict[str, Any]:
    """What a run was made with, as far as it can be known; environment.json has one of these for each start."""
    installed = {distribution.metadata["Name"] for distribution in metadata.distributions()}
    return {
        "caer_ros": __version__,
        "commit": commit(),
        "command": sys.argv,
        "seed": config.trainer.seed,
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: metadata.version(name) for name in _PACKAGES if name in installed},
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
    }


@cache
def commit() -> str:
    """The git hash of the sources, with "-dirty" if tracked files were changed since; "" if this is no git checkout."""
    source = share.folders()[0]
    if not (source / ".git").exists():
        return ""
    git = ["git", "-C", str(source)]
    try:
        head, changes = (
            subprocess.run([*git, *arguments], capture_output=True, text=True, check=True).stdout.strip()
            for arguments in (("rev-parse", "HEAD"), ("status", "--porcelain", "-uno"))
        )
    except (OSError, subprocess.CalledProcessError):  # no git here, or sources of another user
        return ""
    return f"{head}-dirty" if changes else head
