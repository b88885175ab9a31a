from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from caer_ros.offline.data.synthetic import cues, drawn_people, objects, plans, render

STILL = plans.Light(1.0, 0.0, (1.0, 1.0, 1.0), 1.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def atlas():
    return drawn_people.load()


def person(atlas, left, height=160.0, bottom=230.0, **changes):
    """A person in a picture of 320x240, by default all of it within."""
    given = {
        "cues": cues.Cues(4, 4, 4, 0),
        "identity": 0,
        "view": next(view for view in atlas.views if view != "back"),
        "mirrored": False,
        "brightness": 1.0,
        "vad": (0.0, 0.0, 0.0),
        "track_id": "1",
    } | changes
    sprite = plans.figure(atlas, plans.Person(box=(0, 0, 0, 0), **given)).rgba
    width = height * sprite.shape[1] / sprite.shape[0]
    return plans.Person(box=(left, bottom - height, left + width, bottom), **given)


def scene(*persons, things=()):
    return plans.Scene(320, 240, 0, 100.0, 3, 4, STILL, tuple(things), tuple(persons))


def extent(mask):
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def test_a_picture(atlas):
    image, truths = render.render(plans.plan(plans.Settings(), atlas, np.random.default_rng(0)), atlas)
    assert image.shape == (240, 320, 3)
    assert image.dtype == np.uint8
    assert all(truth.visible >= render.MIN_VISIBLE for truth in truths)


def test_boxes_are_where_the_pixels_are(atlas):
    for seed in range(8):
        plan = plans.plan(plans.Settings(), atlas, np.random.default_rng(seed))
        plan = replace(plan, light=STILL)
        image, truths = render.render(plan, atlas)
        for truth in truths:
            without = replace(plan, persons=tuple(p for p in plan.persons if p.track_id != truth.track_id))
            changed = np.abs(image.astype(int) - render.render(without, atlas)[0]).max(2) > 8
            left, top, right, bottom = map(int, truth.visible_box)
            box = np.zeros_like(changed)
            box[max(top - 2, 0) : bottom + 2, max(left - 2, 0) : right + 2] = True
            # Soft edges are not solid, and now and then a colour is that of the background.
            assert (changed & ~box).sum() < 0.03 * changed.sum()
            np.testing.assert_allclose(extent(changed & box), truth.visible_box, atol=3)


def test_a_person_all_of_whom_is_to_be_seen(atlas):
    (truth,) = render.render(scene(person(atlas, 100)), atlas)[1]
    assert truth.visible == 1
    assert truth.truncated == 0
    assert truth.visible_box == truth.box
    np.testing.assert_allclose(truth.box, truth.full_box, atol=2)
    assert truth.full_box[3] == 230
    _, top, _, bottom = truth.head_box
    assert plans.intersection(truth.head_box, truth.full_box) == pytest.approx(plans.area(truth.head_box), rel=0.1)
    assert 0.08 < (bottom - top) / 160 < 0.3


def test_a_mirrored_person_is_the_mirrored_picture(atlas):
    someone = person(atlas, 100, cues=cues.Cues(0, 0, 1, 0))
    width = round(someone.box[2] - someone.box[0])
    someone = replace(someone, box=(100.0, *someone.box[1:2], 100.0 + width, someone.box[3]))
    opposite = replace(someone, mirrored=True, box=(220.0 - width, someone.box[1], 220.0, someone.box[3]))
    (first,), (second,) = (render.render(scene(p), atlas)[1] for p in (someone, opposite))
    for a, b in ((first.box, second.box), (first.head_box, second.head_box)):
        np.testing.assert_allclose((320 - a[2], a[1], 320 - a[0], a[3]), b, atol=1e-3)


def test_a_person_beyond_the_edge(atlas):
    (whole,) = render.render(scene(person(atlas, 100)), atlas)[1]
    half = (whole.full_box[2] - whole.full_box[0]) / 2
    (cut,) = render.render(scene(person(atlas, -half)), atlas)[1]
    assert cut.truncated == pytest.approx(0.5, abs=0.2)
    assert cut.box[0] == 0
    assert cut.full_box[0] < 0
    assert cut.visible == 1


def test_the_nearer_hides_the_farther(atlas):
    far, near = person(atlas, 100, bottom=220.0, track_id="far"), person(atlas, 120, track_id="near")
    truths = {truth.track_id: truth for truth in render.render(scene(far, near), atlas)[1]}
    assert truths["near"].visible == 1
    assert render.MIN_VISIBLE <= truths["far"].visible < 0.95
    assert truths["far"].box == render.render(scene(far), atlas)[1][0].box, "hidden parts are part of the box"


def test_whoever_is_hidden_is_left_out(atlas):
    near = person(atlas, 100, track_id="near")
    hidden = person(atlas, 101, bottom=229.0, track_id="hidden")
    image, truths = render.render(scene(hidden, near), atlas)
    assert [truth.track_id for truth in truths] == ["near"]
    np.testing.assert_array_equal(image, render.render(scene(near), atlas)[0])


def test_whoever_is_outside_is_left_out(atlas):
    assert render.render(scene(person(atlas, 400), person(atlas, -300)), atlas)[1] == ()


@pytest.mark.parametrize("kind", range(len(cues.EMOTIONS)))
def test_objects_are_drawn_where_the_plan_says(atlas, kind):
    for drawing in range(len(objects.SCENE_OBJECTS[kind])):
        thing = plans.Thing(kind, drawing, False, (200.0, 20.0, 250.0, 70.0))
        image, bare = (render.render(scene(things=things), atlas)[0].astype(int) for things in ((thing,), ()))
        changed = np.abs(image - bare).max(2) > 8
        np.testing.assert_allclose(extent(changed), thing.box, atol=3)
        assert changed[20:70, 200:250].mean() > 0.25


def test_light_changes_the_picture_and_not_the_truth(atlas):
    bright = scene(person(atlas, 100))
    dark = replace(bright, light=replace(STILL, gain=0.5, noise=5.0, blur=1.0))
    (image, truths), (darker, same) = render.render(bright, atlas), render.render(dark, atlas)
    assert truths == same
    assert darker.mean() < 0.7 * image.mean()
