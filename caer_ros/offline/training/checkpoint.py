"""Checkpoints: what a training run leaves, read back as a network without running any code of the file's."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from torch import nn

from caer_ros.offline import systems
from caer_ros.offline.training.checkpoint_card import FORMAT, CheckpointCard
from caer_ros.perception.imaging.resizing import Resize
from caer_ros.perception.person import BoxKind
from caer_ros.recordings import whole_file

PREFIX = "network."
"""Beginning of the names of the network's entries in a checkpoint's state_dict; what else is trained has another."""


class CheckpointError(Exception):
    """A checkpoint that cannot be used; names the file, what differs and the remedy."""


def load_network(path: str | Path) -> tuple[nn.Module, CheckpointCard]:
    """A trained network in eval mode on the CPU, and its card.

    Raises:
        CheckpointError: the file is missing, broken, none of ours, holds more than plain data, or does not fit.
    """
    content = load(path)
    card = card_of(content, path)
    try:
        network = systems.of(card.task).network(card)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its card is broken at {error}") from error
    load_entries(network, content["state_dict"], path)
    return network.eval(), card


def load(path: str | Path) -> dict[str, Any]:
    """A checkpoint's content as plain data and tensors on the CPU. Raises CheckpointError as ``load_network``."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise CheckpointError(
            f"{path} is a folder; name the file, such as {Path(path) / 'checkpoints/best.ckpt'}"
        ) from None
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # pickle's and zip's many kinds
        if "Unsupported global" in str(error) or "Unsupported class" in str(error):
            raise CheckpointError(f"{path} holds more than plain data and tensors, so it is not loaded") from error
        raise CheckpointError(f"{path}: truncated, or no checkpoint") from error
    if not isinstance(content, dict) or "caer" not in content or "state_dict" not in content:
        raise CheckpointError(f"{path} is no checkpoint of `caer train`: it has no card")
    return content


def card_of(content: dict[str, Any], path: str | Path) -> CheckpointCard:
    """The card in a checkpoint's content. Raises CheckpointError for another format."""
    plain = dict(content["caer"])
    if (version := plain.pop("format", None)) != FORMAT:
        raise CheckpointError(f"{path}: format {version}, but this version of caer_ros reads {FORMAT}")
    try:
        plain.setdefault("known", plain["labels"])  # older cards do not say it
        resize = plain["resize"] | {"size": tuple(plain["resize"]["size"])}
        return CheckpointCard(
            **plain
            | {
                "labels": tuple(plain["labels"]),
                "known": tuple(plain["known"]),
                "box_kind": BoxKind[plain["box_kind"].upper()],
                "resize": Resize(**resize),
            }
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: its card is broken at {error}") from error


def load_entries(network: nn.Module, entries: dict[str, torch.Tensor], path: str | Path) -> None:
    """Load a state_dict's entries under ``PREFIX``. Raises CheckpointError where they do not fit the network."""
    found = {name.removeprefix(PREFIX): value for name, value in entries.items() if name.startswith(PREFIX)}
    expected = network.state_dict()
    missing, left = expected.keys() - found.keys(), found.keys() - expected.keys()
    if missing or left:
        raise CheckpointError(
            f"{path} is of another architecture than its card says: {len(missing)} entries are missing and "
            f"{len(left)} are left over, such as {min(missing or left)}"
        )
    for name, value in found.items():
        if value.shape != expected[name].shape:
            raise CheckpointError(
                f"{path}: {name} is {list(value.shape)}, but its card says {list(expected[name].shape)}"
            )
    network.load_state_dict(found)


def save(content: dict[str, Any], path: Path) -> None:
    """Write a checkpoint such that, whatever happens, ``path`` is the old file or the whole new one."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    whole_file.write_bytes(path, buffer.getbuffer())
