from __future__ import annotations

from pathlib import Path

import pytest
from graphs import write_bundle

from caer_ros import share
from caer_ros.perception.bundle.bundle import BundleError
from caer_ros.perception.bundle.finding import available_bundles, find_bundle


@pytest.fixture
def folder(tmp_path):
    return write_bundle(tmp_path / "finder")


@pytest.fixture(autouse=True)
def shares(monkeypatch, tmp_path):
    """The only places searched, empty yet."""
    places = [tmp_path / "first", tmp_path / "second"]
    monkeypatch.delenv("CAER_MODEL_PATH", raising=False)
    monkeypatch.setattr(share, "folders", lambda: places)
    monkeypatch.chdir(tmp_path)
    return places


def test_by_path(folder, monkeypatch):
    assert find_bundle(str(folder)) == folder
    monkeypatch.setenv("HOME", str(folder.parent))
    assert find_bundle("~/finder") == folder
    assert find_bundle("finder") == Path("finder")


def test_a_path_without_a_bundle(tmp_path):
    with pytest.raises(BundleError, match=r"no model\.yaml in this folder"):
        find_bundle(str(tmp_path / "nothing"))


def test_by_name_in_this_order(shares, tmp_path, monkeypatch):
    own, second = tmp_path / "own", tmp_path / "more"
    monkeypatch.setenv("CAER_MODEL_PATH", f"{own}:{second}")
    for place in reversed([own, second, *(folder / "models" for folder in shares)]):
        write_bundle(place / "mine")
        assert find_bundle("mine") == place / "mine"
        assert available_bundles() == [place / "mine"]


def test_an_unknown_name_is_told_what_there_is_and_where(tmp_path, monkeypatch):
    monkeypatch.setenv("CAER_MODEL_PATH", str(tmp_path / "own"))
    write_bundle(tmp_path / "own" / "mine")
    write_bundle(tmp_path / "first" / "models" / "another")
    with pytest.raises(BundleError, match=r'named "yours"; there are: another, mine\.') as caught:
        find_bundle("yours")
    assert str(tmp_path / "own") in str(caught.value)
    assert "CAER_MODEL_PATH" in str(caught.value)
