from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caer_ros.offline.data.synthetic import cues, drawn_people, objects, pictures, plans, render
from caer_ros.offline.data.synthetic.plans import Settings

sizes = st.sampled_from(((320, 240), (160, 160), (640, 480), (96, 128)))
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def atlas():
    return drawn_people.load()


def planned(atlas, seed, **changes):
    kind, margin = changes.pop("kind", None), changes.pop("margin", 4.0)
    return plans.plan(Settings(**changes), atlas, np.random.default_rng(seed), kind, margin)


def shown(scene):
    return [thing for thing in scene.things if thing.kind is not None]


@given(seeds, sizes)
@settings(max_examples=30, deadline=None)
def test_whoever_looks_at_a_person_alone_cannot_see_the_scene(atlas, seed, size):
    scene = planned(atlas, seed, width=size[0], height=size[1], people=(0, 1, 1, 1, 1, 1, 1, 1, 1))
    assert shown(scene), "the scene can always be told"
    for thing in shown(scene):
        assert thing.kind == scene.kind
        assert plans.clip(thing.box, *size) == thing.box, "within the picture"
        for person in scene.persons:
            assert plans.intersection(thing.box, person.box) == 0
        for furniture in scene.things:
            if furniture.kind is None:
                assert plans.intersection(thing.box, furniture.box) == 0


@pytest.mark.parametrize("size", [(320, 240), (200, 150)])
def test_no_pixel_of_a_person_tells_the_scene_also_in_the_file(atlas, size):
    """Blur and the blocks of JPEG (16 pixels with halved colour) must not carry an object's colour to a person."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, pictures.JPEG_QUALITY]
    compared = 0
    for seed in range(40):
        scene = planned(atlas, seed, width=size[0], height=size[1], people=(0, 1, 1, 1))
        bare = replace(scene, things=tuple(thing for thing in scene.things if thing.kind is None))
        full, empty = (
            cv2.imdecode(cv2.imencode(".jpg", render.render(one, atlas)[0], quality)[1], cv2.IMREAD_COLOR)
            for one in (scene, bare)
        )
        assert (full != empty).any()
        for person in scene.persons:
            left, top, right, bottom = plans.clip(person.box, *size)
            inside = np.s_[int(top) : math.ceil(bottom), int(left) : math.ceil(right)]
            np.testing.assert_array_equal(full[inside], empty[inside], f"seed {seed}")
            compared += 1
    assert compared > 40


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_people_stand_in_the_picture(atlas, seed):
    scene = planned(atlas, seed, people=(0, 1, 1, 1, 1, 1, 1, 1, 1))
    for person in scene.persons:
        seen = plans.clip(person.box, scene.width, scene.height)
        assert plans.area(seen) >= 0.4 * plans.area(person.box)
    feet = [person.box[3] for person in scene.persons]
    assert feet == sorted(feet), "from far to near"
    assert all(person.cues.scene == scene.kind for person in scene.persons)
    assert all((person.view == "back") == (person.cues.face == cues.HIDDEN) for person in scene.persons)


def test_the_same_seed_gives_the_same_plan(atlas):
    assert planned(atlas, 5) == planned(atlas, 5)
    assert planned(atlas, 5) != planned(atlas, 6)


def test_place_and_light_do_not_tell_the_scene(atlas):
    """With the same randomness another scene changes objects and people, and nothing else."""
    fear, peace = (replace(planned(atlas, 7, kind=kind), things=(), persons=(), kind=0) for kind in (3, 5))
    assert fear == peace


def test_nearly_everybody_finds_a_place(atlas):
    for count, expected in ((1, 1.0), (3, 2.7), (8, 5.0)):
        people = tuple(float(number == count) for number in range(9))
        found = [len(planned(atlas, seed, people=people).persons) for seed in range(20)]
        assert np.mean(found) >= expected
    assert planned(atlas, 0, people=(1.0,)).persons == ()


def test_most_people_are_large(atlas):
    heights = []
    for seed in range(80):
        for person in planned(atlas, seed).persons:
            _, top, _, bottom = plans.clip(person.box, 320, 240)
            heights.append((bottom - top) / 240)
    assert np.mean(np.array(heights) >= 0.35) > 0.8
    assert np.quantile(heights, 0.1) < 0.55
    assert np.quantile(heights, 0.9) > 0.7


def test_a_margin_is_kept(atlas):
    for seed in range(20):
        scene = planned(atlas, seed, margin=30.0)
        for thing in shown(scene):
            for person in scene.persons:
                left, top, right, bottom = person.box
                assert plans.intersection(thing.box, (left - 30, top, right + 30, bottom)) == 0


@pytest.mark.parametrize("expression", cues.EXPRESSIONS)
def test_a_portrait(atlas, expression):
    scene = plans.portrait(Settings(width=128, height=128), atlas, expression, np.random.default_rng(1))
    (person,) = scene.persons
    figure = plans.figure(atlas, person)
    assert figure.expression == expression
    assert not scene.things
    scale = (person.box[2] - person.box[0]) / figure.rgba.shape[1]
    assert 0.4 * 128 < scale * (figure.head[3] - figure.head[1]) < 0.9 * 128


def test_drawings():
    """Each is a tile that stands out, and no two are alike, also not when they are very small."""
    drawings = [drawing for kind in objects.SCENE_OBJECTS for drawing in kind] + list(objects.FURNITURE)
    small = []
    for drawing in drawings:
        tile = objects.tile(drawing)
        assert tile.dtype == np.uint8
        assert tile[..., 3].mean() > 60
        assert (tile[..., :3].max(2) <= tile[..., 3]).all(), "premultiplied"
        small.append(cv2.resize(tile, (16, 16), interpolation=cv2.INTER_AREA).astype(float).reshape(-1))
    for a, first in enumerate(small):
        for second in small[:a]:
            assert np.abs(first - second).mean() > 15
