from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
import torch

from caer_ros.offline.systems.ka import networks
from caer_ros.offline.systems.ka.network import Student
from caer_ros.offline.training import checkpoint, configuration
from caer_ros.offline.training.checkpoint import CheckpointError
from caer_ros.offline.training.checkpoint_card import CheckpointCard, plain_card
from caer_ros.perception.imaging.resizing import Resize
from caer_ros.perception.person import BoxKind

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from caer_ros.offline.training.config import TrainConfig


@pytest.fixture
def content(config: TrainConfig) -> dict[str, Any]:
    card = CheckpointCard(
        task="student",
        config=configuration.to_dict(config),
        labels=("a", "b"),
        known=("b",),
        label_set="letters",
        multi_label=True,
        box_kind=BoxKind.HEAD,
        resize=Resize("letterbox", (64, 96)),
        version="0.1.0",
        commit="",
        data="own, train: 3 images, 4 persons",
        recipe="baseline",
        epoch=3,
        metrics={"val/total": 1.5},
    )
    torch.manual_seed(3)
    entries = networks.build("student", config.model, 2).state_dict()
    prefixed = {checkpoint.PREFIX + name: value for name, value in entries.items()}
    return {"state_dict": prefixed | {"amalgamation.x": torch.zeros(1)}, "caer": plain_card(card)}


def saved(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


def test_a_network_comes_back_with_its_card(content: dict[str, Any], tmp_path: Path) -> None:
    checkpoint.save(content, tmp_path / "x.ckpt")
    network, card = checkpoint.load_network(tmp_path / "x.ckpt")
    assert isinstance(network, Student)
    assert not network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, content["state_dict"][checkpoint.PREFIX + name])
    assert plain_card(card) == content["caer"]
    assert (card.labels, card.box_kind, card.resize) == (("a", "b"), BoxKind.HEAD, Resize("letterbox", (64, 96)))
    assert (card.known, card.predictable) == (("b",), (False, True))


def test_an_older_card_knows_all_labels(content: dict[str, Any]) -> None:
    del content["caer"]["known"]
    card = checkpoint.card_of(content, "x.ckpt")
    assert (card.known, card.predictable) == (("a", "b"), (True, True))


def test_files_that_are_none_of_ours(tmp_path: Path) -> None:
    for name, expected in (("none.ckpt", "no such file"), (".", "is a folder")):
        with pytest.raises(CheckpointError, match=expected):
            checkpoint.load_network(tmp_path / name)
    (tmp_path / "text.ckpt").write_text("hello")
    with pytest.raises(CheckpointError, match=r"text.ckpt: truncated, or no checkpoint"):
        checkpoint.load_network(tmp_path / "text.ckpt")
    with pytest.raises(CheckpointError, match=r"x.ckpt is no checkpoint of `caer train`"):
        checkpoint.load_network(saved({"state_dict": {}}, tmp_path / "x.ckpt"))


def test_a_truncated_file(content: dict[str, Any], tmp_path: Path) -> None:
    path = saved(content, tmp_path / "x.ckpt")
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=f"{path}: truncated, or no checkpoint"):
            checkpoint.load_network(path)


class Code:
    """Unpickled, it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("by_torch", [True, False])
def test_code_in_a_file_does_not_run(content: dict[str, Any], tmp_path: Path, by_torch: bool) -> None:
    content["caer"]["data"] = Code(tmp_path / "pwned")
    path = tmp_path / "x.ckpt"
    path.write_bytes(pickle.dumps(content, protocol=2)) if not by_torch else saved(content, path)
    with pytest.raises(CheckpointError, match="holds more than plain data" if by_torch else "x.ckpt"):
        checkpoint.load_network(path)
    assert not (tmp_path / "pwned").exists()


def test_what_does_not_fit_is_named(content: dict[str, Any], tmp_path: Path) -> None:
    entries = content["state_dict"]
    name = next(name for name in entries if name.startswith("network.emotion_head"))
    value = entries[name]
    entries[name] = value[:-1]
    with pytest.raises(CheckpointError, match=f"{name.removeprefix('network.')} is .* but its card says"):
        checkpoint.load_network(saved(content, tmp_path / "x.ckpt"))
    del entries[name]
    with pytest.raises(CheckpointError, match=r"of another architecture .* 1 entries are missing and 0 are left over"):
        checkpoint.load_network(saved(content, tmp_path / "x.ckpt"))
    entries |= {name: value, "network.more": value}
    with pytest.raises(CheckpointError, match="0 entries are missing and 1 are left over, such as more"):
        checkpoint.load_network(saved(content, tmp_path / "x.ckpt"))


def test_cards_of_another_format_or_broken(content: dict[str, Any], tmp_path: Path) -> None:
    content["caer"]["format"] = 2
    with pytest.raises(CheckpointError, match="format 2, but this version of caer_ros reads 1"):
        checkpoint.load_network(saved(content, tmp_path / "x.ckpt"))
    content["caer"] |= {"format": 1, "box_kind": "foot"}
    with pytest.raises(CheckpointError, match=r"x.ckpt: its card is broken at 'FOOT'"):
        checkpoint.load_network(saved(content, tmp_path / "x.ckpt"))


def test_a_file_is_the_old_one_or_the_new_one(
    content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(content, tmp_path / "x.ckpt")

    def full(descriptor: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", full)
    content["caer"]["epoch"] = 4
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(content, tmp_path / "x.ckpt")
    assert checkpoint.load_network(tmp_path / "x.ckpt")[1].epoch == 3
