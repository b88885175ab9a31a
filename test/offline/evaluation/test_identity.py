from __future__ import annotations

import hashlib
import shlex

import pytest

import caer_ros
from caer_ros.offline.evaluation import identity
from caer_ros.offline.evaluation.identity import bag_sha256, files_sha256, identify, json_sha256

RUN = {
    "command": ["caer", "evaluate", "bag", "a bag", "--truth", "it's.json"],
    "bags": {"first": "aa", "second": "bb"},
    "truth": "cc",
    "bundle": "tiny",
    "bundle_sha256": "dd",
    "provider": "CPUExecutionProvider",
    "device": "auto",
    "threads": 1,
    "settings": {"manner": "offline", "topic": "/camera"},
}


def test_the_hash_is_that_of_what_determines_the_result():
    first = identify(**RUN)
    for name, other in (
        ("command", ["caer", "evaluate", "bag", "moved/bag"]),
        ("device", "cpu"),  # what ran is the provider
        ("bundle", "renamed"),
        ("bags", {"renamed": "aa", "other": "bb"}),
        ("settings", {"topic": "/camera", "manner": "offline"}),
    ):
        assert identify(**RUN | {name: other}).run_hash == first.run_hash, name
    for name, other in (
        ("bags", {"first": "aa", "second": "b0"}),
        ("bags", {"first": "aa"}),
        ("truth", "c0"),
        ("bundle_sha256", "d0"),
        ("provider", "CUDAExecutionProvider"),
        ("threads", 2),
        ("settings", {"manner": "as recorded", "topic": "/camera"}),
    ):
        assert identify(**RUN | {name: other}).run_hash != first.run_hash, name


def test_another_version_of_the_package_is_another_run(monkeypatch):
    first = identify(**RUN)
    monkeypatch.setattr(caer_ros, "__version__", "99.0.0")
    assert identify(**RUN).run_hash != first.run_hash


def test_another_version_of_what_computes_the_scores_is_another_run(monkeypatch):
    first = identify(**RUN)
    monkeypatch.setattr(identity, "versions", lambda: first.versions | {"onnxruntime": "99.0.0"})
    assert identify(**RUN).run_hash != first.run_hash


def test_another_machine_is_the_same_run(monkeypatch):
    first = identify(**RUN)
    monkeypatch.setattr("caer_ros.processor.name", lambda: "an abacus")
    again = identify(**RUN)
    assert again.cpu == "an abacus"
    assert again.run_hash == first.run_hash


def test_the_command_can_be_typed_again():
    assert shlex.split(identify(**RUN).command) == RUN["command"]


def test_versions_and_processor_are_named():
    made = identify(**RUN)
    assert made.versions.keys() == {"caer_ros", "onnxruntime", "numpy", "python"}
    assert all(version[0].isdigit() for version in made.versions.values())
    assert made.versions["caer_ros"] == caer_ros.__version__
    assert made.cpu


@pytest.fixture
def bag(tmp_path):
    folder = tmp_path / "bag"
    folder.mkdir()
    (folder / "bag_0.mcap").write_bytes(b"first")
    (folder / "bag_1.mcap").write_bytes(b"second")
    (folder / "metadata.yaml").write_text("a", "utf-8")
    return folder


def test_a_bag_is_its_recordings(bag, tmp_path):
    first = bag_sha256(bag)
    assert first == hashlib.sha256(b"5\nfirst6\nsecond").hexdigest()
    (bag / "metadata.yaml").write_text("reindexed", "utf-8")
    assert bag_sha256(bag.rename(tmp_path / "moved")) == first
    (tmp_path / "moved" / "bag_1.mcap").write_bytes(b"secone")
    assert bag_sha256(tmp_path / "moved") != first


def test_a_single_file_is_a_bag_too(bag):
    assert bag_sha256(bag / "bag_0.mcap") == files_sha256([bag / "bag_0.mcap"])


def test_compressed_recordings_count_too(bag):
    first = bag_sha256(bag)
    (bag / "bag_1.mcap").rename(bag / "bag_1.mcap.zstd")
    assert bag_sha256(bag) == first
    (bag / "bag_1.mcap.zstd").write_bytes(b"other")
    assert bag_sha256(bag) != first


def test_what_moves_from_one_file_to_the_next_changes_the_hash(bag):
    first = bag_sha256(bag)
    (bag / "bag_0.mcap").write_bytes(b"firsts")
    (bag / "bag_1.mcap").write_bytes(b"econd")
    assert bag_sha256(bag) != first


def test_the_order_of_fields_does_not_matter():
    assert json_sha256({"a": 1, "b": [1, 2]}) == json_sha256({"b": [1, 2], "a": 1})
    assert json_sha256({"a": 1, "b": [1, 2]}) != json_sha256({"a": 1, "b": [2, 1]})
