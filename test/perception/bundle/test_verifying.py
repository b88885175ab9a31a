from __future__ import annotations

import pytest
from graphs import edit_card, write_bundle

from caer_ros.perception.bundle.bundle import BundleError
from caer_ros.perception.bundle.reading import read_bundle


@pytest.fixture
def folder(tmp_path):
    return write_bundle(tmp_path / "finder")


def test_files_that_are_missing_truncated_or_altered(folder):
    model = folder / "model.onnx"
    content = model.read_bytes()
    model.write_bytes(content[:-1])
    with pytest.raises(BundleError, match=f"model.onnx is truncated: {len(content) - 1} of {len(content)} bytes"):
        read_bundle(folder)
    model.write_bytes(b"x" + content[1:])
    with pytest.raises(BundleError, match=r"model.onnx is not the file that model.yaml describes: sha256"):
        read_bundle(folder)
    model.write_bytes(content + b"x")
    with pytest.raises(BundleError, match="is not the file"):
        read_bundle(folder)
    model.unlink()
    with pytest.raises(BundleError, match=r"files.model: model.onnx is missing"):
        read_bundle(folder)
    assert read_bundle(folder, verify=False).name == "finder"


def test_a_file_may_be_a_link_out_of_the_folder(folder, tmp_path):
    """As colcon build --symlink-install makes them."""
    (folder / "model.onnx").rename(tmp_path / "elsewhere.onnx")
    (folder / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    read_bundle(folder)


def test_hash_covers_manifest_and_files(folder):
    before = read_bundle(folder).sha256
    assert read_bundle(folder).sha256 == before
    edit_card(folder, "thresholds.person", 0.6)
    changed = read_bundle(folder).sha256
    edit_card(folder, "files.model.sha256", "0" * 64)
    assert len({before, changed, read_bundle(folder, verify=False).sha256}) == 3
