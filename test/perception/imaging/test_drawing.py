from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caer_ros.perception.imaging import drawing
from caer_ros.perception.imaging.drawing import PALETTE, Rect, Request, draw, place, track_colour
from caer_ros.perception.person import BoxKind, EmotionStatus, Person, TrackState

LABELS = ("neutral", "happy", "sad", "angry")
SCORES = (0.1, 0.6, 0.05, 0.25)
SIZES = [(640, 480), (1920, 1080)]


def person(
    box,
    track_id="a-1",
    status=EmotionStatus.OK,
    scores=SCORES,
    face=None,
    state=TrackState.TRACKED,
    kind=BoxKind.BODY,
    age=1.0,
):
    return Person(
        box=np.array(box, np.float32),
        confidence=0.9,
        box_kind=kind,
        scores=np.array(scores, np.float32),
        status=status,
        face_box=None if face is None else np.array(face, np.float32),
        track_id=track_id,
        track_state=state,
        track_age=age,
        smoothed_scores=np.array(scores, np.float32),
    )


def grey(width=640, height=480):
    return np.full((height, width, 3), 90, np.uint8)


def overlap(a, b):
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


@pytest.fixture
def texts(monkeypatch):
    """What draw() writes, with the scale it is written in; it is written all the same."""
    written = []

    def put_text(image, text, origin, font, scale, *rest):
        written.append((text, scale))
        return original(image, text, origin, font, scale, *rest)

    original = cv2.putText
    monkeypatch.setattr(drawing.cv2, "putText", put_text)
    return written


# --- place ---

WIDTH, HEIGHT = 640, 480


@st.composite
def boxes(draw_value):
    x0, y0 = draw_value(st.integers(0, WIDTH - 2)), draw_value(st.integers(0, HEIGHT - 2))
    return Rect(x0, y0, draw_value(st.integers(x0 + 1, WIDTH)), draw_value(st.integers(y0 + 1, HEIGHT)))


@st.composite
def requests(draw_value):
    """Panels of up to 128x80: 5 x 6 cells in the image, so that six persons have room."""
    w, h = draw_value(st.integers(20, 128)), draw_value(st.integers(20, 80))
    sizes = [(w, h)]
    if draw_value(st.booleans()):
        sizes.append((draw_value(st.integers(10, w)), draw_value(st.integers(10, h))))
    return Request(draw_value(boxes()), sizes)


@given(st.lists(requests(), max_size=6), st.lists(boxes(), max_size=6))
def test_panels_never_touch_while_there_is_room(wanted, heads):
    places = place(wanted, heads, (WIDTH, HEIGHT))
    assert len(places) == len(wanted)
    for at, request in zip(places, wanted, strict=True):
        assert (at.x1 - at.x0, at.y1 - at.y0) in request.sizes
        assert at.x0 >= 0
        assert at.y0 >= 0
        assert at.x1 <= WIDTH
        assert at.y1 <= HEIGHT
    assert not any(overlap(a, b) for a, b in combinations(places, 2))
    assert place(wanted, heads, (WIDTH, HEIGHT)) == places


@given(st.lists(requests(), min_size=7, max_size=30))
def test_a_crowd_still_gets_all_its_panels(wanted):
    for at in place(wanted, [request.box for request in wanted], (WIDTH, HEIGHT)):
        assert min(at) >= 0
        assert at.x1 <= WIDTH
        assert at.y1 <= HEIGHT


def test_alone_a_panel_stands_on_its_box():
    box = Rect(200, 200, 300, 400)
    assert place([Request(box, [(120, 60)])], [Rect(225, 200, 275, 260)], (WIDTH, HEIGHT)) == [Rect(200, 140, 320, 200)]


def test_at_the_upper_edge_a_panel_goes_beside_the_box():
    box = Rect(200, 0, 300, 400)
    assert place([Request(box, [(120, 60)])], [Rect(225, 0, 275, 60)], (WIDTH, HEIGHT)) == [Rect(300, 0, 420, 60)]


def test_a_panel_avoids_the_head_of_somebody_else():
    box, above = Rect(200, 200, 300, 400), Rect(180, 100, 320, 199)
    (at,) = place([Request(box, [(120, 60)])], [Rect(225, 200, 275, 260), above], (WIDTH, HEIGHT))
    assert not overlap(at, above)
    assert not overlap(at, Rect(225, 200, 275, 260))


def test_a_panel_stays_near_its_box():
    """Free space is 100 pixels away, so it is better to lie on somebody's body."""
    box, around = Rect(270, 200, 370, 300), Rect(150, 100, 490, 400)
    at, _ = place([Request(box, [(120, 60)]), Request(around, [(120, 60)])], [], (WIDTH, HEIGHT))
    assert overlap((at.x0 - 1, at.y0 - 1, at.x1 + 1, at.y1 + 1), box)


def test_touching_by_a_pixel_is_touching():
    """Above its box the second panel would lie on one pixel of the first; inside it hides more of its own box."""
    places = place(
        [Request(Rect(100, 200, 399, 1080), [(300, 100)]), Request(Rect(399, 299, 699, 1080), [(300, 100)])],
        [],
        (700, 1080),
    )
    assert places[0] == Rect(100, 100, 400, 200)
    assert not overlap(*places)


def test_panels_of_different_sizes_have_room():
    """The first three panels touch all nine places on a grid of the fourth's size, 98 pixels."""
    wanted = [Request(Rect(x0, 0, x1, 10), [(100, 10)]) for x0, x1 in ((0, 97), (200, 391), (500, 685))]
    wanted.append(Request(Rect(146, 0, 147, 10), [(98, 10)]))
    places = place(wanted, [], (900, 10))
    assert [at.x0 for at in places[:3]] == [97, 391, 685]
    assert not any(overlap(a, b) for a, b in combinations(places, 2))


def test_bars_are_worth_hiding_some_of_the_body():
    (at,) = place([Request(Rect(0, 0, WIDTH, 460), [(100, 80), (100, 20)])], [], (WIDTH, HEIGHT))
    assert at.y1 - at.y0 == 80


def test_bars_are_given_up_before_panels_touch():
    """An image with room for one panel with bars, and a header beside it."""
    request = Request(Rect(0, 0, 100, 100), [(100, 80), (100, 20)])
    places = place([request, request], [], (100, 100))
    assert [at.y1 - at.y0 for at in places] == [80, 20]
    assert not overlap(*places)


# --- draw ---


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_image_is_copied_and_may_be_read_only(width, height):
    image = grey(width, height)
    image.flags.writeable = False
    drawn = draw(image, [person((100, 150, 300, 470))], LABELS)
    assert (image == 90).all()
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert drawn.flags.writeable
    assert (drawn != 90).any()


def test_nobody_means_a_plain_copy():
    image = grey()
    drawn = draw(image, [], LABELS)
    np.testing.assert_array_equal(drawn, image)
    assert not np.shares_memory(drawn, image)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_box_has_the_colour_of_its_track(width, height):
    x0, y0, x1, y1 = width // 4, height // 2, width // 2, height - 20
    drawn = draw(grey(width, height), [person((x0, y0, x1, y1))], LABELS)
    colour = track_colour("a-1")
    middle_x, middle_y = (x0 + x1) // 2, (y0 + y1) // 2
    for x, y in ((x0, middle_y), (x1 - 1, middle_y), (middle_x, y1 - 1)):
        assert tuple(drawn[y, x]) == colour
    assert (drawn[middle_y, middle_x] == 90).all()


def test_coasting_is_dashed():
    edges = {}
    for state in (TrackState.TRACKED, TrackState.COASTED):
        drawn = draw(grey(), [person((200, 250, 400, 460), state=state)], LABELS)
        edges[state] = (drawn[459, 215:385] == track_colour("a-1")).all(axis=-1).mean()
    assert edges[TrackState.TRACKED] == 1
    assert 0.4 < edges[TrackState.COASTED] < 0.75


def test_face_box_is_drawn():
    with_face = draw(grey(), [person((200, 150, 400, 460), face=(270, 170, 330, 240))], LABELS)
    without = draw(grey(), [person((200, 150, 400, 460))], LABELS)
    changed = (with_face != without).any(axis=-1)
    assert changed[170, 300]
    assert changed[200, 270]
    assert not changed[200, 300]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("kind", [BoxKind.BODY, BoxKind.HEAD])
def test_faces_stay_visible(width, height, kind):
    """Four people side by side, filling the height of the image: nobody's face is behind a panel."""
    people, faces = [], []
    for i in range(4):
        x0, x1 = (i + 0.1) * width / 4, (i + 0.9) * width / 4
        face = (x0 + 0.3 * (x1 - x0), 0.05 * height, x0 + 0.7 * (x1 - x0), 0.25 * height)
        box = (x0, 0, x1, height) if kind == BoxKind.BODY else face
        people.append(person(box, track_id=f"a-{i}", face=face if i % 2 else None, kind=kind))
        faces.append(face)
    drawn = draw(grey(width, height), people, LABELS)
    for face in faces:
        x0, y0, x1, y1 = (round(v) for v in face)
        assert (drawn[y0 + 5 : y1 - 5, x0 + 5 : x1 - 5] == 90).all()


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (EmotionStatus.OK, "happy"),
        (EmotionStatus.UNCERTAIN, "uncertain"),
        (EmotionStatus.NO_FACE, "no face"),
        (EmotionStatus.TOO_SMALL, "face too small"),
        (EmotionStatus.PROFILE_OR_OCCLUDED, "profile or hidden"),
        (EmotionStatus.NOT_PREDICTED, "-"),
    ],
)
def test_title_says_who_and_what(texts, status, word):
    draw(grey(), [person((200, 150, 400, 460), track_id="x7-12", status=status)], LABELS)
    title, *rest = [text for text, _ in texts]
    assert title == f"#12 {word}"
    assert bool(rest) == (status in (EmotionStatus.OK, EmotionStatus.UNCERTAIN))


def test_every_status_has_words():
    assert {*drawing._STATUS_WORDS, EmotionStatus.OK} == set(EmotionStatus)


def test_untracked_has_no_number(texts):
    draw(grey(), [person((200, 150, 400, 460), track_id="")], LABELS)
    assert texts[0][0] == "happy"


@pytest.mark.parametrize("top", [0, 1, 3, 9])
def test_top_emotions_in_order(texts, top):
    draw(grey(), [person((200, 150, 400, 460))], LABELS, top=top)
    ranking = ["happy", "60%", "angry", "25%", "neutral", "10%", "sad", "5%"]
    assert [text for text, _ in texts] == ["#1 happy", *ranking[: 2 * top]]


def test_smoothed_scores_are_shown_where_there_are_any(texts):
    smoothed = person((200, 150, 400, 460))
    smoothed.smoothed_scores = np.array([0.7, 0.3, 0, 0], np.float32)
    raw = person((200, 150, 400, 460))
    raw.smoothed_scores = np.empty(0, np.float32)
    draw(grey(), [smoothed], LABELS)
    draw(grey(), [raw], LABELS)
    titles = [text for text, _ in texts if text.startswith("#")]
    assert titles == ["#1 neutral", "#1 happy"]


def test_what_is_not_predicted_has_no_bar():
    with_nan = draw(grey(), [person((200, 150, 400, 460), scores=(np.nan, 0.6, np.nan, 0.25))], LABELS)
    without = draw(grey(), [person((200, 150, 400, 460), scores=(0.6, 0.25))], ("happy", "angry"))
    np.testing.assert_array_equal(with_nan, without)


def test_all_nan_is_no_emotion(texts):
    draw(grey(), [person((200, 150, 400, 460), scores=[np.nan] * 4)], LABELS)
    assert [text for text, _ in texts] == ["#1 -"]


def test_bars_are_as_long_as_their_scores():
    def filled(score):
        drawn = draw(grey(), [person((200, 150, 400, 460), scores=(score,))], ["x"])
        return int((drawn == track_colour("a-1")).all(axis=-1).sum())

    empty, quarter, half, full, beyond = (filled(score) for score in (0, 0.25, 0.5, 1, np.inf))
    assert full - empty > 300
    assert half - empty == pytest.approx((full - empty) / 2, rel=0.05)
    assert quarter - empty == pytest.approx((full - empty) / 4, rel=0.1)
    assert beyond == full


def test_text_grows_with_the_image(texts):
    scales = []
    for width, height in SIZES:
        texts.clear()
        draw(grey(width, height), [person((100, 150, 300, 460))], LABELS)
        scales.append({scale for _, scale in texts})
    (small,), (large,) = scales
    # Capitals of this font are 21 pixels high at scale 1; below 9 pixels they are hard to read.
    assert small * 21 >= 9
    assert large > 1.5 * small


def test_other_alphabets_are_still_written(texts):
    draw(grey(), [person((200, 150, 400, 460), scores=(0.9, 0.1))], ["Zärtlich", "怒"])
    assert [text for text, _ in texts] == ["#1 Zartlich", "Zartlich", "90%", "?", "10%"]


def test_labels_of_another_model_are_refused():
    with pytest.raises(ValueError, match="3 labels but 4 scores"):
        draw(grey(), [person((200, 150, 400, 460))], LABELS[:3])


def test_the_order_of_detections_does_not_matter():
    rng = np.random.default_rng(0)
    people = []
    for i in range(8):
        x, y = rng.uniform((0, 0), (500, 300))
        people.append(person((x, y, x + 100, y + 160), track_id=f"a-{i}", age=i / 10))
    np.testing.assert_array_equal(draw(grey(), people, LABELS), draw(grey(), people[::-1], LABELS))


@pytest.mark.parametrize(
    "box",
    [
        (-300, -300, -10, -10),
        (700, 10, 900, 100),
        (100, 100, 100, 200),
        (300, 100, 200, 200),
        (np.nan, 0, 100, 100),
        (0, 0, np.inf, 100),
    ],
)
def test_a_box_that_is_not_in_the_image_draws_nothing(box):
    np.testing.assert_array_equal(draw(grey(), [person(box)], LABELS), grey())


def test_a_box_partly_outside_is_closed_at_the_border():
    drawn = draw(grey(), [person((-50, 300, 200, 900))], LABELS)
    assert tuple(drawn[400, 0]) == track_colour("a-1")
    assert tuple(drawn[479, 120]) == track_colour("a-1")


coordinates = st.floats(-1e6, 1e6, width=32) | st.integers(-50, 450) | st.sampled_from([np.nan, np.inf])
anybody = st.builds(
    person,
    box=st.tuples(*[coordinates] * 4),
    track_id=st.sampled_from(["", "a-1", "a-", "run-23", "odd", "x-²", "-"]),
    status=st.sampled_from(EmotionStatus),
    scores=st.tuples(*[st.floats(0, 1, width=32) | st.just(np.nan)] * 4),
    face=st.none() | st.tuples(*[coordinates] * 4),
    state=st.sampled_from(TrackState),
    kind=st.sampled_from(BoxKind),
)


@given(
    people=st.lists(anybody, max_size=20),
    width=st.integers(1, 400),
    height=st.integers(1, 400),
    top=st.integers(0, 5),
)
def test_draws_anything_in_any_image(people, width, height, top):
    image = grey(width, height)
    drawn = draw(image, people, LABELS, top=top)
    assert drawn.shape == image.shape
    assert (image == 90).all()


# --- colours ---


def test_colours_are_stable_and_differ_between_neighbours():
    assert track_colour("k3-12") == track_colour("z9-12")
    assert len({track_colour(f"a-{i}") for i in range(len(PALETTE))}) == len(PALETTE)
    assert track_colour("a-x") in PALETTE
    assert track_colour("") not in PALETTE
