from __future__ import annotations

import numpy as np
import people_pictures
import pytest

from caer_ros.offline.data.people import collage, source_pictures
from caer_ros.taxonomy import CAER_S

HEIGHT, WIDTH = 240, 320


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folders = people_pictures.write(tmp_path_factory.mktemp("people"))
    teachers = source_pictures.Teachers()
    labels = source_pictures.read_labels(folders.labels)
    bodies = [teachers.body(path) for path in sorted(folders.bodies[0].glob("p*.jpg"))]
    faces = [teachers.face(path, labels[path.name]) for path in sorted(folders.faces.glob("*.png"))]
    by_label = {face.label: [face] for face in faces if source_pictures.usable(face)}
    return collage.Material(bodies, by_label, sorted(folders.empty[0].glob("*")))


def made(material, seed):
    return collage.compose(material, HEIGHT, WIDTH, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(20))
def test_boxes_lie_on_the_canvas_and_only_readable_faces_have_emotions(material, seed):
    image, persons = made(material, seed)
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert image.dtype == np.uint8
    for person in persons:
        assert (person.box[:2] >= 0).all()
        assert (person.box[2:] <= (WIDTH, HEIGHT)).all()
        assert (person.box[2:] > person.box[:2]).all()
        assert person.face in ("none", "hidden", "readable", "")
        assert np.isfinite(person.emotions).all() == (person.face == "readable")
        if person.face == "readable":
            wide = person.face_box[2] - person.face_box[0]
            assert wide >= collage.READABLE_WIDTH
            assert person.emotions.sum() == pytest.approx(1, abs=1e-3)
        if person.face in ("readable", "hidden"):
            assert person.face_box is not None
        if person.face == "none":
            assert person.face_box is None


def test_all_kinds_of_faces_and_labels_come_up(material):
    persons = [person for seed in range(40) for person in made(material, seed)[1]]
    assert {person.face for person in persons} >= {"none", "hidden", "readable"}
    labels = {CAER_S[int(p.emotions.argmax())] for p in persons if np.isfinite(p.emotions).all()}
    assert "Happy" in labels


def test_a_canvas_depends_on_its_seed_alone(material):
    first, second, other = made(material, 5), made(material, 5), made(material, 6)
    np.testing.assert_array_equal(first[0], second[0])
    assert [p.face for p in first[1]] == [p.face for p in second[1]]
    assert not np.array_equal(first[0], other[0])


def test_a_mirrored_person_has_left_and_right_exchanged(material):
    person = next(p for body in material.bodies for p in body.persons if p.face is not None)
    mirrored = collage._mirrored(person, 500)
    again = collage._mirrored(mirrored, 500)
    np.testing.assert_allclose(again.face.points, person.face.points)
    np.testing.assert_allclose(again.box, person.box)
    assert (mirrored.face.points[1, 0] > mirrored.face.points[0, 0]) == (
        person.face.points[1, 0] > person.face.points[0, 0]
    )


def test_without_empty_pictures_and_faces_it_still_draws(material):
    alone = collage.Material(material.bodies, {}, ())
    image, persons = collage.compose(alone, HEIGHT, WIDTH, np.random.default_rng(0))
    assert image.std() > 0
    assert persons
