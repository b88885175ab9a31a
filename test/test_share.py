"""The package's own files are found from the source tree, a sourced workspace and a Python prefix, in this order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from caer_ros import share

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """A source tree, two workspaces and a prefix, all of them empty."""
    source, first, second, prefix = (tmp_path / name for name in ("source", "first", "second", "prefix"))
    (source / "caer_ros").mkdir(parents=True)
    (source / "package.xml").touch()
    monkeypatch.setattr(share, "__file__", str(source / "caer_ros" / "share.py"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{first}:{second}")
    monkeypatch.setattr(share.sys, "prefix", str(prefix))
    return [source, *(path / "share" / "caer_ros" for path in (first, second, prefix))]


def test_the_order(places: list[Path]) -> None:
    assert share.folders() == places
    for place in reversed(places):
        (place / "config").mkdir(parents=True)
        assert share.find("config") == place / "config"


def test_an_installed_module_has_no_source_tree(places: list[Path]) -> None:
    (places[0] / "package.xml").unlink()
    assert share.folders() == places[1:]


def test_a_missing_file_is_told_with_the_places(places: list[Path]) -> None:
    with pytest.raises(FileNotFoundError, match=rf"no msg/X\.msg in {re.escape(str(places[0]))}, .*prefix"):
        share.find("msg/X.msg")


def test_what_the_package_needs_is_there() -> None:
    for name in ("models/bootstrap", "config/fastdds_shm.xml", "msg/PersonEmotionArray.msg", "resource/demo"):
        assert share.find(name).exists()
