from __future__ import annotations

import pytest

from caer_ros.recordings.annotations.files import write_whole
from caer_ros.recordings.annotations.sample import DatasetError


def test_a_file_is_written_with_its_folders_and_nothing_beside_it(tmp_path):
    file = tmp_path / "new" / "deep" / "a.json"
    for text in ("größer\n", "smaller\n"):
        write_whole(file, text)
        assert file.read_bytes() == text.encode()
    assert [path.name for path in file.parent.iterdir()] == ["a.json"]


def test_the_former_file_stays_where_the_new_one_does_not_pass(tmp_path):
    def refuse(new):
        assert (new.read_text(), file.read_text()) == ("new", "former")
        raise DatasetError("no")

    file = tmp_path / "a.json"
    file.write_text("former")
    with pytest.raises(DatasetError, match="no"):
        write_whole(file, "new", refuse)
    assert file.read_text() == "former"


def test_the_former_file_stays_where_the_new_one_cannot_be_written(tmp_path):
    file = tmp_path / "a.json"
    file.write_text("former")
    with pytest.raises(UnicodeEncodeError):
        write_whole(file, "half \ud800")
    assert file.read_text() == "former"
