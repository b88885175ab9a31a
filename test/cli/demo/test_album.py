"""Which images are shown, and that pictures and video show them."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hand_made_run import LEFT, MIDDLE, RIGHT, message, person, stamp_of, true, truth

from caer_ros.cli.demo import album, run_summary
from caer_ros.cli.demo.album import Album, AlbumError, Shot, choose

SMALLER = (10.0, 10.0, 70.0, 130.0)
HEIGHT, WIDTH = 240, 420


def chosen(messages, known=None):
    seen = run_summary.sightings(messages, known)
    shots = choose(messages, seen, run_summary.subjects(messages, known, seen), known)
    return {shot.name: (shot.stamp_ns - stamp_of(0)) // 10**8 for shot in shots}


def test_somebody_is_shown_where_they_are_large_wholly_visible_and_as_usual():
    known = truth(
        (true("ann", SMALLER),),
        (true("ann", visible=0.9),),  # larger, but not whole
        (true("ann"),),
        (true("ann"),),  # as large, but untypical
        (true("ann", SMALLER),),
    )
    boxes = (SMALLER, LEFT, LEFT, LEFT, SMALLER)
    said = ("Happy", "Happy", "Happy", "", "Happy")
    messages = [message(i, person(1, place, label)) for i, (place, label) in enumerate(zip(boxes, said, strict=True))]
    assert chosen(messages, known)["ann"] == 2


def test_the_most_people_are_shown_but_none_who_is_not_there():
    both = (true("ann"), true("ben", RIGHT))
    known = truth((true("ann"),), both, both, both)
    messages = [
        message(0, person(1)),  # ann's picture
        message(1, person(1), person(2, RIGHT)),  # ben's
        message(2, person(1), person(2, RIGHT), person(3, MIDDLE)),
        message(3, person(1), person(2, RIGHT)),
    ]
    assert chosen(messages, known) == {"ann": 0, "ben": 1, "side_by_side": 3}


def test_what_is_hard_is_shown():
    nobody = ()
    back = true("ann", number=2)
    known = truth(nobody, nobody, (true("ann"),), (true("ann", visible=0.6),), nobody, *[(back,)] * 15, noise=(4,))
    messages = [message(0), message(1), message(2, person(1)), message(3, person(1)), message(4)]
    messages += [message(i, person(2)) for i in range(5, 20)]
    shots = chosen(messages, known)
    assert (shots["empty_scene"], shots["partly_hidden"], shots["noise"]) == (1, 3, 4)
    assert shots["ann_returned"] >= 15  # when they have been there for a second


def test_track_ids_of_any_form_may_be_in_a_ground_truth():
    known = truth(*[(replace(true("ann"), identity=identity),) for identity in ("7", "7/", "a/b", "x/1")])
    assert chosen([message(i, person(1)) for i in range(4)], known) == {"ann": 0}


def test_an_image_is_shown_once():
    known = truth((true("ann"), true("ben", RIGHT)), (true("ann"), true("ben", RIGHT)))
    shots = chosen([message(i, person(1), person(2, RIGHT)) for i in range(2)], known)
    assert sorted(shots.values()) == [0, 1]


def test_without_ground_truth_tracks_are_shown():
    shots = chosen([message(0, person(7)), message(1, person(7, SMALLER)), message(2)])
    assert shots == {"track_7": 0, "empty_scene": 2}


def test_nothing_to_show():
    assert chosen([]) == {}


def grey(index):
    return np.full((HEIGHT, WIDTH, 3), 20 + 20 * index, np.uint8)


def frames(path):
    capture = cv2.VideoCapture(str(path))
    found = []
    while True:
        intact, frame = capture.read()
        if not intact:
            return found, capture.get(cv2.CAP_PROP_FPS)
        found.append(frame)


def index_of(frame):
    return round((float(np.median(frame[-20:])) - 20) / 20)


def test_the_video_lasts_as_long_as_the_images_and_repeats_what_was_seen_last(tmp_path):
    processed = [0, 1, 4, 5, 8]
    book = Album(tmp_path, [message(i) for i in processed], [], 10.0, stamp_of(0))
    for index in range(10):
        jitter = 3_000_000 * (-1) ** index if index else 0
        book.take(stamp_of(index) + (jitter if index not in processed else 0), grey(index))
    video = book.finish(stamp_of(9))
    assert video == tmp_path / "video.webm"
    shown, rate = frames(video)
    assert rate == 10.0
    assert [index_of(frame) for frame in shown] == [0, 1, 1, 1, 4, 5, 5, 5, 8, 8]


def test_the_images_before_the_first_message_are_shown_plain(tmp_path):
    book = Album(tmp_path, [message(2)], [], 10.0, stamp_of(0))
    for index in range(4):
        book.take(stamp_of(index), grey(index))
    shown, _ = frames(book.finish(stamp_of(3)))
    assert [index_of(frame) for frame in shown] == [0, 0, 2, 2]


def test_images_of_another_size_and_broken_ones_do_not_stop_the_video(tmp_path):
    book = Album(tmp_path, [message(0), message(1), message(2)], [], 10.0, stamp_of(0))
    book.take(stamp_of(0), grey(0))
    book.take(stamp_of(1), None)
    book.take(stamp_of(2), np.full((100, 90, 3), 60, np.uint8))
    shown, _ = frames(book.finish(stamp_of(2)))
    assert [(frame.shape, index_of(frame)) for frame in shown] == [((HEIGHT, WIDTH, 3), i) for i in (0, 0, 2)]


def test_a_shot_shows_what_was_said_about_that_image(tmp_path):
    shots = [Shot(stamp_of(1), "ann", "ann", "ann", LEFT), Shot(stamp_of(0), "empty", "nobody")]
    book = Album(tmp_path, [message(0), message(1, person(1))], shots, 10.0, stamp_of(0))
    for index in range(2):
        book.take(stamp_of(index), grey(index))
    book.finish(stamp_of(1))
    ann, empty = book.pictures
    assert (ann.path, empty.path) == (tmp_path / "pictures" / "ann.jpg", tmp_path / "pictures" / "empty.jpg")
    assert (empty.image == grey(0)).all()
    assert empty.portrait is None
    assert not (ann.image == grey(1)).all()
    assert (ann.portrait == grey(1)[:100, :100]).all()
    written = cv2.cvtColor(cv2.imread(str(ann.path)), cv2.COLOR_BGR2RGB)
    assert np.abs(written.astype(int) - ann.image).mean() < 3


def test_a_build_of_opencv_without_a_codec_takes_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(album, "FORMATS", (("????", ".nonsense"), ("mp4v", ".mp4")))
    book = Album(tmp_path, [message(0)], [], 10.0, stamp_of(0))
    book.take(stamp_of(0), grey(0))
    assert book.finish(stamp_of(0)) == tmp_path / "video.mp4"
    assert [file.name for file in tmp_path.iterdir()] == ["video.mp4"]


def test_no_codec_is_no_video(tmp_path, monkeypatch):
    monkeypatch.setattr(album, "FORMATS", ())
    book = Album(tmp_path, [message(0)], [], 10.0, stamp_of(0))
    book.take(stamp_of(0), grey(0))
    assert book.finish(stamp_of(0)) is None


def test_a_video_that_does_not_hold_what_was_written_is_an_error(tmp_path):
    video = album.open_video(tmp_path / "video", (WIDTH, HEIGHT), 10.0)
    video.add(grey(0))
    video.length += 1
    with pytest.raises(AlbumError, match=r"wrote 1 of 2 pictures"):
        video.close()


def test_opencv_says_nothing(tmp_path, capfd):
    book = Album(tmp_path, [message(0)], [], 10.0, stamp_of(0))
    book.take(stamp_of(0), grey(0))
    book.finish(stamp_of(0))
    assert capfd.readouterr() == ("", "")
