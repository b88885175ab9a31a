"""The atlas of figures: complete, and faces and bodies fit each other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from caer_ros import taxonomy
from caer_ros.offline.data.synthetic import drawn_people

ATLAS = drawn_people.load()
FRONT = [view for view in ATLAS.views if view != "back"]


def opaque(figure):
    return figure.rgba[..., 3] > 127


def inside(figure, box, margin=0):
    """Where the sprite's pixels are inside a box."""
    y, x = np.mgrid[: figure.rgba.shape[0], : figure.rgba.shape[1]] + 0.5
    x0, y0, x1, y1 = box
    return (x >= x0 - margin) & (x <= x1 + margin) & (y >= y0 - margin) & (y <= y1 + margin)


def test_holds_heco_and_contempt_seen_from_two_sides_and_from_behind():
    assert set(ATLAS.expressions) == {*taxonomy.HECO, "Contempt"}
    assert set(ATLAS.postures) == set(taxonomy.HECO)
    assert sorted(ATLAS.views.values()) == [-25, 25, 180]
    assert {person.gender for person in ATLAS.identities} == {"male", "female"}
    assert {person.age for person in ATLAS.identities} == {"kid", "teenager", "adult"}
    assert len(ATLAS.identities) >= 10


def test_every_figure_is_there():
    """Every part is used by one of these: all bodies with one face, all faces on a body of each tilt."""
    wanted = {
        (identity, None if view == "back" else "Anger", posture, view)
        for identity, posture, view in itertools.product(range(len(ATLAS.identities)), ATLAS.postures, ATLAS.views)
    } | {
        (identity, expression, posture, view)
        for identity, expression, posture, view in itertools.product(
            range(len(ATLAS.identities)), ATLAS.expressions, ("Peace", "Sadness"), FRONT
        )
    }
    for identity, expression, posture, view in sorted(wanted, key=str):
        figure = ATLAS.figure(identity, expression, posture, view)
        height, width = figure.rgba.shape[:2]
        person = ATLAS.identities[identity]
        assert (figure.identity, figure.expression, figure.posture) == (identity, expression, posture)
        assert (figure.gender, figure.age, figure.yaw) == (person.gender, person.age, ATLAS.views[view])
        assert figure.rgba.dtype == np.uint8
        assert figure.body == (0, 0, width, height)
        x0, y0, x1, y1 = figure.head
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert 28 <= x1 - x0 <= 60
        assert 30 <= y1 - y0 <= 70
        # A head fills its box, up to its corners and what a bowed head hides.
        assert opaque(figure)[inside(figure, figure.head)].mean() > 0.6


@pytest.mark.parametrize("view", list(ATLAS.views))
def test_is_cropped_to_what_is_visible(view):
    figure = ATLAS.figure(0, None if view == "back" else "Fear", "Disgust", view)
    alpha = figure.rgba[..., 3]
    assert all(edge.any() for edge in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]))


@pytest.mark.parametrize("identity", range(len(ATLAS.identities)))
@pytest.mark.parametrize("posture", ["Excitement", "Sadness"])
def test_expression_changes_nothing_but_the_head(identity, posture):
    first, *others = (ATLAS.figure(identity, expression, posture, "left") for expression in ATLAS.expressions)
    body = ~inside(first, first.head, margin=1)
    for other in others:
        # The crown is the same, so all crops begin at the same place; a dropped jaw stays within the head's box.
        assert other.rgba.shape == first.rgba.shape
        assert np.abs(other.rgba[body].astype(int) - first.rgba[body]).max() <= 48  # hair and neck at the seam, lossy
        changed = np.abs(other.rgba.astype(int) - first.rgba).max(2) > 60
        assert changed[~body].sum() > 15


@pytest.mark.parametrize("view", list(ATLAS.views))
def test_postures_differ_in_silhouette(view):
    for identity in range(len(ATLAS.identities)):
        shapes = []
        for posture in ATLAS.postures:
            mask = opaque(ATLAS.figure(identity, None if view == "back" else "Peace", posture, view))
            mask = mask[::4, ::4]  # as from 64 pixels
            canvas = np.zeros((125, 125), bool)  # feet on one line, bodies' masses above each other
            left = 62 - round(np.nonzero(mask)[1].mean())
            canvas[-mask.shape[0] :, left : left + mask.shape[1]] = mask
            shapes.append(canvas)
        for a, b in itertools.combinations(shapes, 2):
            assert (a & b).sum() / (a | b).sum() < 0.9


def test_children_are_smaller():
    heights = {
        person.age: [
            ATLAS.figure(i, "Peace", "Peace", "left").rgba.shape[0]
            for i, other in enumerate(ATLAS.identities)
            if other.age == person.age
        ]
        for person in ATLAS.identities
    }
    assert max(heights["kid"]) < min(heights["adult"])
    assert np.mean(heights["adult"]) == pytest.approx(290, abs=40)


def test_one_layer_over_another():
    """By hand: 40 % of 100 over opaque 200 is 160; alone it keeps its colour."""
    back = drawn_people._Sprite(np.full((1, 1, 4), (200, 200, 200, 255), np.uint8), (0, 0))
    front = drawn_people._Sprite(np.full((1, 2, 4), (100, 100, 100, 102), np.uint8), (1, 0))
    both = drawn_people._over(back, front)
    assert both.joint == (1, 0)
    assert both.rgba.tolist() == [[[100, 100, 100, 102], [160, 160, 160, 255]]]


@pytest.mark.parametrize(
    "name",
    [
        (0, None, "Peace", "left"),
        (0, "Anger", "Peace", "back"),
        (0, "Anger", "Contempt", "left"),
        (99, "Anger", "Fear", "left"),
    ],
)
def test_no_such_figure(name):
    with pytest.raises(KeyError):
        ATLAS.figure(*name)


def test_is_read_only_and_kept():
    figure = ATLAS.figure(0, "Anger", "Fear", "right")
    assert ATLAS.figure(0, "Anger", "Fear", "right") is figure
    assert drawn_people.load() is ATLAS
    with pytest.raises(ValueError, match="read-only"):
        figure.rgba[0, 0] = 0
