"""Files written whole or not at all, also by a process that is killed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from caer_ros.recordings import whole_file

KILLED = """
import os, signal, sys
from pathlib import Path
from caer_ros.recordings import whole_file
with whole_file.opened(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_a_file_is_written_with_its_folders_and_nothing_beside_it(tmp_path):
    file = tmp_path / "new" / "deep" / "a.json"
    for text in ("größer\r\n", "smaller\n"):
        whole_file.write_text(file, text)
        assert file.read_bytes() == text.encode()
    whole_file.write_bytes(file, memoryview(b"\x00\xff"))
    assert file.read_bytes() == b"\x00\xff"
    assert names(file.parent) == ["a.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_former_file_stays_until_the_block_has_ended(tmp_path, error):
    file = tmp_path / "a.json"
    file.write_text("former")

    def write():
        with whole_file.opened(file) as new:
            new.write(b"half")
            new.flush()
            assert file.read_text() == "former"
            raise error

    with pytest.raises(error):
        write()
    assert file.read_text() == "former"
    assert names(tmp_path) == ["a.json"]


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        whole_file.write_text(tmp_path / "a.json", "half \ud800")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        whole_file.write_text(tmp_path / "folder", "text")
    assert names(tmp_path) == ["folder"]


def test_a_killed_process_leaves_the_former_file_and_the_next_one_writes(tmp_path):
    file = tmp_path / "a.json"
    file.write_text("former")
    ended = subprocess.run([sys.executable, "-c", KILLED, str(file)], timeout=60, check=False)
    assert ended.returncode == -9
    assert file.read_text() == "former"
    (part,) = set(tmp_path.iterdir()) - {file}
    assert part.match(".a.json.*.part")
    assert part.read_text() == "half"
    whole_file.write_text(file, "new")
    assert file.read_text() == "new"


def test_of_several_writers_at_once_one_wins_whole(tmp_path):
    file = tmp_path / "a.bin"
    contents = [bytes([number]) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: whole_file.write_bytes(file, content), contents * 5))
    assert file.read_bytes() in contents
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("mode", [None, 0o600, 0o664])
def test_permissions_are_those_that_open_leaves(tmp_path, mode):
    def written(path, write):
        if mode is not None:
            path.touch()
            path.chmod(mode)
        write(path)
        return stat.S_IMODE(path.stat().st_mode)

    before = os.umask(0o027)
    try:
        expected = written(tmp_path / "plain", lambda path: path.write_text("text"))
        assert written(tmp_path / "whole", lambda path: whole_file.write_text(path, "text")) == expected
    finally:
        os.umask(before)


def test_a_link_stays_and_its_file_is_replaced(tmp_path):
    file, link = tmp_path / "far" / "a.json", tmp_path / "link.json"
    link.symlink_to(file)
    whole_file.write_text(link, "new")
    assert link.is_symlink()
    assert file.read_text() == "new"
