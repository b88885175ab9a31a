"""A folder is whole or not there, and replacing one never loses both."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from caer_ros.whole_folder import FolderError, recover, whole_folder

if TYPE_CHECKING:
    from pathlib import Path


def write(target: Path, text: str, overwrite: bool = False) -> None:
    with whole_folder(target, overwrite) as made:
        (made / "deep").mkdir(parents=True)
        (made / "deep" / "file").write_text(text)


def text(folder: Path) -> str:
    return (folder / "deep" / "file").read_text()


def test_a_new_folder_and_one_that_replaces_another(tmp_path: Path) -> None:
    place = tmp_path / "models" / "tiny"
    write(place, "first")
    assert text(place) == "first"
    write(place, "second", overwrite=True)
    assert text(place) == "second"
    assert [*place.parent.iterdir()] == [place]


def test_what_is_there_stays_unless_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "tiny", "first")
    with pytest.raises(FileExistsError, match="tiny exists already"):
        write(tmp_path / "tiny", "second")
    assert text(tmp_path / "tiny") == "first"


def test_a_block_that_fails_leaves_what_was_there_and_nothing_beside(tmp_path: Path) -> None:
    write(tmp_path / "tiny", "first")
    with pytest.raises(UnicodeEncodeError):  # after the folders were made
        write(tmp_path / "tiny", "\udc00", overwrite=True)
    assert text(tmp_path / "tiny") == "first"
    assert [*tmp_path.iterdir()] == [tmp_path / "tiny"]


def test_a_link_still_leads_to_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "disk" / "tiny", "first")
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "tiny")
    write(tmp_path / "link", "second", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert text(tmp_path / "disk" / "tiny") == "second"


def failing(monkeypatch: pytest.MonkeyPatch, *numbers: int) -> None:
    """Let the so many-th renames fail, as a full or a broken disk does."""
    rename, count = os.rename, iter(range(1, 10))

    def maybe(source: Path, target: Path) -> None:
        if next(count) in numbers:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(source, target)

    monkeypatch.setattr(os, "rename", maybe)


@pytest.mark.parametrize(("number", "state"), [(1, "as it was before"), (2, "the old one again")])
def test_a_rename_that_fails_leaves_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, state: str
) -> None:
    write(tmp_path / "tiny", "first")
    failing(monkeypatch, number)
    with pytest.raises(FolderError, match=rf"tiny: .*\(Input/output error\); it is {state}$"):
        write(tmp_path / "tiny", "second", overwrite=True)
    assert text(tmp_path / "tiny") == "first"
    assert [*tmp_path.iterdir()] == [tmp_path / "tiny"]


def test_an_old_folder_that_cannot_be_put_back_is_named_and_recovered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "tiny"
    write(place, "first")
    with monkeypatch.context() as patch:
        failing(patch, 2, 3)
        with pytest.raises(FolderError, match=rf"the old one is {tmp_path}/\.tiny\.swap/old, as it could not"):
            write(place, "second", overwrite=True)
    recover(place)
    assert text(place) == "first"
    assert "tiny: put back as it was" in caplog.text


def test_a_program_that_is_killed_between_the_renames_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "tiny", "first")
    code = f"""
import os
from pathlib import Path
from caer_ros.whole_folder import whole_folder

rename = os.rename
os.rename = lambda *paths: (rename(*paths), os._exit(9))
with whole_folder(Path({str(tmp_path / "tiny")!r}), overwrite=True) as made:
    made.mkdir()
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert not (tmp_path / "tiny").exists()
    with pytest.raises(FileExistsError):
        write(tmp_path / "tiny", "second")
    assert text(tmp_path / "tiny") == "first"
    assert "tiny: put back as it was before a program that was to replace it was killed" in caplog.text
    write(tmp_path / "tiny", "third", overwrite=True)
    assert text(tmp_path / "tiny") == "third"
    assert [*tmp_path.iterdir()] == [tmp_path / "tiny"]
