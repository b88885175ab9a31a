"""To Label Studio and back. The files in label_studio/ are its own: see the README there."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caer_ros.recordings.annotations import label_studio, own
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.taxonomy import LABEL_SETS

FILES = Path(__file__).parent / "label_studio"
EXPORT = FILES / "export.json"
TOPIC = "front_camera/image_raw"
NAMES = [f"{TOPIC}/171800000{number}123456789.jpg" for number in range(6)]


@pytest.fixture
def folder(tmp_path):
    """The folder that the real Label Studio was run on."""
    return made(tmp_path / "frames", json.loads((FILES / "annotations.json").read_text()))


def made(folder, content):
    for image in content["images"]:
        (folder / image["file_name"]).parent.mkdir(parents=True, exist_ok=True)
        (folder / image["file_name"]).touch()
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def annotations(folder):
    return json.loads((folder / "annotations.json").read_text())


def exported(folder, change=lambda tasks: None):
    """The real export, changed."""
    tasks = json.loads(EXPORT.read_text())
    change(tasks)
    (folder / "export.json").write_text(json.dumps(tasks))
    return folder / "export.json"


def tasks_of(folder):
    label_studio.write(folder)
    return json.loads((folder / "label_studio" / "tasks.json").read_text())


def submitted(tasks):
    """What Label Studio exports where an annotator submits each task as it stands."""
    return [
        {
            "id": number,
            "data": task["data"],
            "annotations": [
                {
                    "id": number,
                    "was_cancelled": False,
                    "updated_at": f"2024-06-10T08:00:{number % 60:02}Z",
                    "result": (task.get("annotations") or task.get("predictions") or [{"result": []}])[0]["result"],
                }
            ],
        }
        for number, task in enumerate(tasks, start=1)
    ]


# There


def test_a_task_for_each_picture(folder):
    written = label_studio.write(folder)
    assert (written.predicted, written.annotated, written.empty) == (4, 1, 1)
    tasks = json.loads(written.tasks.read_text())
    assert [task["data"]["file_name"] for task in tasks] == NAMES
    assert [task["predictions"][0]["model_version"] for task in tasks if "predictions" in task] == [
        "synth 1a2b3c4d"
    ] * 4
    assert [NAMES.index(task["data"]["file_name"]) for task in tasks if "annotations" in task] == [3]
    assert tasks[4].keys() == {"data"}  # neither a model nor a person has said anything


def test_a_box_in_percent_with_its_strongest_emotion(folder):
    (prediction,) = tasks_of(folder)[0]["predictions"]
    box, emotion = prediction["result"]
    assert box["value"] == {
        "x": pytest.approx(100 * 121.3 / 640, abs=1e-9),
        "y": pytest.approx(100 * 81.7 / 480, abs=1e-9),
        "width": pytest.approx(100 * 90.25 / 640, abs=1e-9),
        "height": pytest.approx(100 * 260.5 / 480, abs=1e-9),
        "rotation": 0,
        "rectanglelabels": ["person"],
    }
    assert (box["original_width"], box["original_height"]) == (640, 480)
    assert emotion["value"]["choices"] == ["Happiness"]  # 0.7 of it, 0.3 of Peace
    assert box["id"] == emotion["id"]


def test_what_a_person_annotated_is_an_annotation(folder):
    (annotation,) = tasks_of(folder)[3]["annotations"]
    said = [(result["type"], result["value"]) for result in annotation["result"]]
    assert [kind for kind, _ in said] == ["rectanglelabels", "choices", "textarea", "rectanglelabels"]
    assert said[1][1]["choices"] == ["Sadness"]
    assert said[2][1]["text"] == ["7"]
    assert said[3][1]["rectanglelabels"] == ["ignore"]


def test_pictures_are_found_below_the_document_root(folder):
    renamed = folder.rename(folder.parent / "frames of 100 % & more")
    for task in tasks_of(renamed):
        address = urlsplit(task["data"]["image"])
        assert address.path == "/data/local-files/"
        assert (renamed.parent / parse_qs(address.query)["d"][0]).is_file()


def test_emotions_given_to_prefilled_boxes_are_a_persons(folder):
    edit(folder / "annotations.json", lambda content: content["info"]["prefilled_by"].update(emotions=False))
    tasks = tasks_of(folder)
    assert ["annotations" in task for task in tasks] == [True, True, False, True, False, True]


def test_the_drafts_of_several_models_are_told_as_theirs(folder):
    before = tasks_of(folder)
    other = {"name": "other", "version": "1", "boxes": True, "emotions": False}

    def add(content):
        content["info"]["prefilled_by"] = [content["info"]["prefilled_by"], other]

    edit(folder / "annotations.json", add)
    after = tasks_of(folder)
    assert ["annotations" in task for task in after] == ["annotations" in task for task in before]
    old, new = (
        {one["model_version"] for task in tasks for one in task.get("predictions", ())} for tasks in (before, after)
    )
    assert new == {f"{model}, other 1" for model in old} != set()


def test_without_a_model_all_that_is_annotated_is_a_persons(folder):
    edit(folder / "annotations.json", lambda content: content["info"].pop("prefilled_by"))
    assert ["annotations" in task for task in tasks_of(folder)] == [True, True, True, True, False, True]


def test_the_interface_is_the_one_that_label_studio_accepted():
    made_here = label_studio.interface(LABEL_SETS["heco"], False, "body")
    assert made_here == (FILES / "config.xml").read_text()


def test_the_interface_for_several_labels():
    root = ElementTree.fromstring(label_studio.interface(("Doubt/Confusion", 'a "b" & <c>'), True, "face"))
    choices = next(root.iter("Choices"))
    assert choices.get("choice") == "multiple"
    assert [choice.get("value") for choice in choices] == ["Doubt/Confusion", 'a "b" & <c>']
    assert "face" in next(root.iter("Header")).get("value")


def test_the_interface_without_labels():
    root = ElementTree.fromstring(label_studio.interface((), False, "body"))
    assert not list(root.iter("Choices"))
    assert list(root.iter("TextArea"))


def test_the_token_is_private_and_stays(folder):
    label_studio.write(folder)
    token = folder / "label_studio" / "token"
    first = token.read_text()
    assert len(first.strip()) == 40
    assert token.stat().st_mode & 0o077 == 0
    label_studio.write(folder)
    assert token.read_text() == first


def test_the_commands_are_shell(folder):
    renamed = folder.rename(folder.parent / "it's mine")
    said = label_studio.commands(renamed)
    subprocess.run(["bash", "-n", "-c", said], check=True)
    lines = [line for line in said.splitlines() if line.startswith(("cd ", "export "))]
    script = "\n".join([*lines, 'pwd; echo "$LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"'])
    label_studio.write(renamed)
    out = subprocess.run(["bash", "-ec", script], check=True, capture_output=True, text=True).stdout
    assert out.splitlines() == [str(renamed / "label_studio"), str(renamed.parent)]


def test_a_picture_that_is_gone(folder):
    (folder / NAMES[2]).unlink()
    with pytest.raises(DatasetError, match=rf"1 picture of it missing, such as {NAMES[2]}"):
        label_studio.write(folder)


def test_no_such_folder(tmp_path):
    with pytest.raises(DatasetError, match="caer bag extract"):
        label_studio.write(tmp_path / "nowhere")


def test_annotations_with_the_same_id(folder):
    edit(folder / "annotations.json", lambda content: content["annotations"][1].update(id=1))
    with pytest.raises(DatasetError, match="with the same"):
        label_studio.write(folder)


# Back


def test_the_real_export(folder):
    imported = label_studio.read(folder, EXPORT)
    assert (imported.pictures, imported.persons, imported.ignored) == (4, 4, 2)
    assert (imported.with_emotions, imported.with_track) == (3, 3)
    content = annotations(folder)
    assert [image["file_name"] for image in content["images"]] == [NAMES[0], NAMES[1], NAMES[3], NAMES[4]]
    assert content["annotations"] == [
        {"id": 1, "image_id": 1, "bbox": [121.3, 81.7, 90.25, 260.5], "emotions": ["Peace"], "track_id": "anna"},
        {"id": 2, "image_id": 2, "bbox": [125.5, 84, 80.25, 250], "emotions": ["Excitement"], "track_id": "anna"},
        {
            "id": 4,
            "image_id": 4,
            "bbox": [118, 79, 92, 261],
            "emotions": ["Sadness"],
            "vad": [-0.5, 0.1, 0.0],
            "track_id": "8",
        },
        {"id": 5, "image_id": 4, "bbox": [390, 0, 250, 130], "iscrowd": 1},
        {"id": 7, "image_id": 5, "bbox": [117, 78, 93, 262], "region": "Xb1GvOzYkQ"},
        {"id": 8, "image_id": 5, "bbox": [400, 10, 200, 120], "region": "k3_Pm0rT2a", "iscrowd": 1},
    ]
    assert content["info"] == json.loads((FILES / "annotations.json").read_text())["info"]  # prefilled_by too


def test_what_was_left_out_is_said(folder):
    notes = label_studio.read(folder, EXPORT).notes
    assert notes == (
        "1 task skipped in Label Studio and left out: task 3",
        "1 task with nothing but a draft, left out: task 6",
        "1 picture with several submitted annotations, of which the newest was taken: annotation 5 of " + NAMES[3],
        f"2 pictures not annotated yet, kept apart as unannotated: {NAMES[2]}, {NAMES[5]}",
    )


def test_pictures_that_nobody_annotated_are_no_ground_truth(folder):
    before = annotations(folder)
    label_studio.read(folder, EXPORT)
    waiting = annotations(folder)["unannotated"]
    assert waiting["images"] == [before["images"][2], before["images"][5]]
    assert waiting["annotations"] == [before["annotations"][2], before["annotations"][5]]
    dataset = own.read(folder / "annotations.json")
    assert len(dataset.samples) == 4
    assert all(sample.exhaustive for sample in dataset.samples)


def test_a_later_import_brings_them_back(folder):
    label_studio.read(folder, EXPORT)
    assert ["predictions" in task for task in tasks_of(folder)] == [False] * 4 + [True] * 2

    def finish(tasks):
        tasks[2]["annotations"] = copy.deepcopy(tasks[0]["annotations"])

    imported = label_studio.read(folder, exported(folder, finish))
    assert imported.pictures == 5
    content = annotations(folder)
    assert [image["id"] for image in content["images"]] == [1, 2, 3, 4, 5]
    assert [image["id"] for image in content["unannotated"]["images"]] == [6]


def test_the_same_export_twice_changes_nothing(folder):
    label_studio.read(folder, EXPORT)
    after = (folder / "annotations.json").read_bytes()
    assert label_studio.read(folder, EXPORT).backup is None
    assert (folder / "annotations.json").read_bytes() == after
    assert not (folder / "annotations.json.bak2").exists()


def test_former_annotations_are_kept_each_time(folder):
    first = (folder / "annotations.json").read_bytes()
    assert label_studio.read(folder, EXPORT).backup == folder / "annotations.json.bak"
    second = (folder / "annotations.json").read_bytes()
    assert label_studio.read(folder, EXPORT, partial=True).backup == folder / "annotations.json.bak2"
    assert (folder / "annotations.json.bak").read_bytes() == first
    assert (folder / "annotations.json.bak2").read_bytes() == second
    assert not list(folder.glob("*.part"))


def test_partial(folder):
    label_studio.read(folder, EXPORT, partial=True)
    assert not any(sample.exhaustive for sample in own.read(folder / "annotations.json").samples)


def test_a_persons_annotation_outlives_a_skip(folder):
    before = annotations(folder)["annotations"][3:5]

    def skip(tasks):
        tasks[3]["annotations"] = tasks[2]["annotations"]

    imported = label_studio.read(folder, exported(folder, skip))
    assert annotations(folder)["annotations"][2:4] == before
    assert f"1 picture without a submitted annotation kept as annotated before: {NAMES[3]}" in imported.notes


def test_a_persons_annotation_that_was_removed_is_told(folder):
    def remove(tasks):
        tasks[3]["annotations"] = [tasks[3]["annotations"][1]]
        tasks[3]["annotations"][0]["result"] = []

    imported = label_studio.read(folder, exported(folder, remove))
    assert imported.notes[-1] == f"{NAMES[3]}: removed in Label Studio, annotated before: annotation 4, 5"


def test_beliefs_of_persons_stay_and_those_of_a_model_become_the_choice(folder):
    beliefs = {"Sadness": 0.6, "Fear": 0.4}
    edit(folder / "annotations.json", lambda content: content["annotations"][3].update(emotions=beliefs))
    (folder / "export.json").write_text(json.dumps(submitted(tasks_of(folder))))
    label_studio.read(folder, folder / "export.json")
    emotions = {entry["id"]: entry.get("emotions") for entry in annotations(folder)["annotations"]}
    assert emotions == {1: ["Happiness"], 2: ["Happiness"], 3: None, 4: beliefs, 5: None, 6: ["Fear"]}


def test_what_only_a_model_said_beside_the_box_is_not_kept(folder):
    edit(folder / "annotations.json", lambda content: content["annotations"][0].update(vad=[0.1, 0, 0], weight=0.5))
    label_studio.read(folder, EXPORT)
    assert annotations(folder)["annotations"][0].keys() == {"id", "image_id", "bbox", "emotions", "track_id"}


def test_several_labels(folder):
    edit(folder / "annotations.json", lambda content: content["info"].update(multi_label=True))

    def choose(tasks):
        tasks[0]["annotations"][0]["result"][1]["value"]["choices"] = ["Peace", "Anger"]

    label_studio.read(folder, exported(folder, choose))
    assert annotations(folder)["annotations"][0]["emotions"] == ["Anger", "Peace"]  # in the order of the set


def test_an_ignored_region_that_becomes_a_person_and_the_reverse(folder):
    def swap(tasks):
        person, _, _, ignored = tasks[3]["annotations"][1]["result"]
        for result in (person, ignored):
            labels = result["value"]["rectanglelabels"]
            result["value"]["rectanglelabels"] = ["ignore" if labels == ["person"] else "person"]

    label_studio.read(folder, exported(folder, swap))
    person, ignored = annotations(folder)["annotations"][2:4]
    assert person == {"id": 4, "image_id": 4, "bbox": [118, 79, 92, 261], "iscrowd": 1}
    assert ignored == {"id": 5, "image_id": 4, "bbox": [390, 0, 250, 130]}


def test_labels_that_are_categories(tmp_path):
    content = {
        "info": {},
        "categories": [{"id": 3, "name": "happy"}, {"id": 4, "name": "sad"}],
        "images": [{"id": 1, "file_name": "a/1.jpg", "width": 100, "height": 50}],
        "annotations": [
            {"id": 1, "image_id": 1, "bbox": [1, 1, 9, 9], "category_id": 3},
            {"id": 2, "image_id": 1, "bbox": [20, 1, 9, 9], "category_id": 3},
        ],
    }
    folder = made(tmp_path / "frames", content)
    tasks = submitted(tasks_of(folder))
    chosen = [result for result in tasks[0]["annotations"][0]["result"] if result["type"] == "choices"]
    assert [result["value"]["choices"] for result in chosen] == [["happy"], ["happy"]]
    chosen[1]["value"]["choices"] = ["sad"]
    (folder / "export.json").write_text(json.dumps(tasks))
    label_studio.read(folder, folder / "export.json")
    (sample,) = own.read(folder / "annotations.json").samples
    assert sample.emotions.tolist() == [[1, 0], [0, 1]]


boxes = st.tuples(*[st.floats(0, 0.9)] * 2, *[st.floats(0.01, 1)] * 2)
persons = st.tuples(boxes, st.none() | st.sets(st.sampled_from(LABEL_SETS["heco"]), min_size=1), st.none() | st.text())


@given(
    st.lists(
        st.tuples(st.tuples(*[st.integers(20, 4000)] * 2), st.lists(persons, max_size=4), st.lists(boxes, max_size=2)),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_there_and_back(pictures, multi_label):
    """Into a folder that knows only the pictures come the same boxes to 1e-3 pixels, the same labels and tracks."""
    images, entries = [], []
    for number, ((width, height), people, ignored) in enumerate(pictures):
        images.append({"id": number, "file_name": f"a/{number}.jpg", "width": width, "height": height})
        for (x, y, w, h), emotions, track in [*people, *((box, None, None) for box in ignored)]:
            bbox = [x * width, y * height, min(w, 1 - x) * width, min(h, 1 - y) * height]
            entry = {"id": len(entries), "image_id": number, "bbox": bbox}
            if emotions:
                entry["emotions"] = sorted(emotions, key=LABEL_SETS["heco"].index)[: None if multi_label else 1]
            if track and track.strip():
                entry["track_id"] = track.strip()
            entries.append(entry)
        entries[len(entries) - len(ignored) :] = [
            entry | {"iscrowd": 1} for entry in entries[len(entries) - len(ignored) :]
        ]
    info = {"label_set": "heco", "multi_label": multi_label}
    with tempfile.TemporaryDirectory() as temporary:
        folder = made(Path(temporary) / "frames", {"info": info, "images": images, "annotations": entries})
        tasks = submitted(tasks_of(folder))
        shutil.rmtree(folder)
        made(folder, {"info": info, "images": images, "annotations": []})
        (folder / "export.json").write_text(json.dumps(tasks))
        label_studio.read(folder, folder / "export.json")
        back = annotations(folder)
    assert len(back["annotations"]) == len(entries)
    for entry, found in zip(entries, back["annotations"], strict=True):
        np.testing.assert_allclose(found["bbox"], entry["bbox"], rtol=0, atol=1e-3)
        for name in ("image_id", "emotions", "track_id", "iscrowd"):
            assert found.get(name) == entry.get(name)


# What cannot be imported


def result(tasks, index=0):
    """A result of task 1: 0 is the box, 1 the emotion, 2 the track."""
    return tasks[0]["annotations"][0]["result"][index]


WRONG = {
    "another project": (
        lambda tasks: tasks[1]["data"].update(file_name="rear/1.jpg"),
        r"task 2: data.file_name is 'rear/1.jpg', which is no picture of .*annotations.json; .* another project\?",
    ),
    "tasks of another make": (lambda tasks: tasks[1]["data"].pop("file_name"), "task 2: data.file_name is None"),
    "a name that is none": (lambda tasks: tasks[1]["data"].update(file_name=[1]), r"task 2: data.file_name is \[1\]"),
    "annotations left out": (
        lambda tasks: tasks[0].pop("annotations"),
        'task 1: no fields data and annotations; .*"JSON"',
    ),
    "annotations by id": (
        lambda tasks: tasks[0].update(annotations=[4]),
        "task 1: one of annotations has no list result",
    ),
    "no time": (
        lambda tasks: tasks[0]["annotations"][0].update(updated_at="soon"),
        "task 1, annotation 2: updated_at is 'soon'",
    ),
    "an unknown emotion": (
        lambda tasks: result(tasks, 1)["value"].update(choices=["Joy"]),
        "task 1, annotation 2, region annotation-1: emotion 'Joy' is no label; there are Anger, ",
    ),
    "two emotions": (
        lambda tasks: result(tasks, 1)["value"].update(choices=["Peace", "Fear"]),
        r"region annotation-1: 2 emotions \(Peace, Fear\); one is expected",
    ),
    "an unknown label": (
        lambda tasks: result(tasks)["value"].update(rectanglelabels=["dog"]),
        r"region annotation-1: rectanglelabels is \['dog'\]; choose person or ignore",
    ),
    "no label": (lambda tasks: result(tasks)["value"].pop("rectanglelabels"), "rectanglelabels is None"),
    "a rotated box": (
        lambda tasks: result(tasks)["value"].update(rotation=12.5),
        "task 1, annotation 2, region annotation-1: rotation is 12.5; only upright boxes",
    ),
    "a rotated picture": (lambda tasks: result(tasks).update(image_rotation=90), "image_rotation is 90"),
    "a polygon": (
        lambda tasks: result(tasks).update(type="polygonlabels"),
        "task 1, annotation 2, region annotation-1: type is 'polygonlabels' of 'box'; only boxes",
    ),
    "a tag that is not ours": (lambda tasks: result(tasks, 1).update(from_name="mood"), "type is 'choices' of 'mood'"),
    "a relation": (
        lambda tasks: tasks[0]["annotations"][0]["result"].append({"type": "relation", "from_id": "a", "to_id": "b"}),
        "task 1, annotation 2: result of type 'relation'",
    ),
    "a result without region": (lambda tasks: result(tasks).pop("id"), "rectanglelabels without the id of a region"),
    "an emotion without a box": (
        lambda tasks: tasks[0]["annotations"][0]["result"].pop(0),
        "region annotation-1: emotions and track_id without a box",
    ),
    "two boxes in a region": (
        lambda tasks: tasks[0]["annotations"][0]["result"].append(result(tasks)),
        "region annotation-1: box is there twice",
    ),
    "a number that is none": (
        lambda tasks: result(tasks)["value"].update(x="1"),
        "region annotation-1: value.x is '1'; percent of the picture",
    ),
    "NaN": (lambda tasks: result(tasks)["value"].update(height=float("nan")), "value.height is nan"),
    "no area": (lambda tasks: result(tasks)["value"].update(width=0), "the box has no area"),
    "beyond the picture": (lambda tasks: result(tasks)["value"].update(x=100.1), "the box has no area in the picture"),
    "another size": (
        lambda tasks: result(tasks).update(original_width=1280),
        "original_width and original_height are 1280 and 480, but the picture is 640x480",
    ),
    "two tracks": (
        lambda tasks: result(tasks, 2)["value"].update(text=["anna", "ben"]),
        r"region annotation-1: track_id is \['anna', 'ben'\]; one text is expected",
    ),
    "all skipped": (
        lambda tasks: [a.update(was_cancelled=True) for task in tasks for a in task["annotations"]],
        r"no task has a submitted annotation \(5 tasks skipped in Label Studio and left out: task 1, task 2, task 3,",
    ),
    "no tasks": (lambda tasks: tasks.clear(), "no task has a submitted annotation"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_imported(folder, change, message):
    before = (folder / "annotations.json").read_bytes()
    with pytest.raises(DatasetError, match=message) as raised:
        label_studio.read(folder, exported(folder, change))
    assert str(folder / "export.json") in str(raised.value)
    assert (folder / "annotations.json").read_bytes() == before
    assert [file.name for file in folder.glob("annotations.json*")] == ["annotations.json"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("export_min.json", 'task 1: .*not as "JSON-MIN", which does not say which emotion belongs to which box'),
        ("annotations.json", 'no list of tasks; .*"JSON"'),
        ("config.xml", "no valid JSON"),
        ("nowhere.json", "No such file"),
    ],
)
def test_other_files(folder, name, message):
    with pytest.raises(DatasetError, match=message):
        label_studio.read(folder, FILES / name)


@pytest.mark.parametrize(
    "waiting",
    [
        {"images": [{"id": 1}]},
        {"images": [{"id": 9, "file_name": "a/9.jpg", "width": 0, "height": 1}]},
        {"images": [{"id": 1, "file_name": NAMES[0], "width": 640, "height": 480}]},
        [1],
    ],
)
def test_unannotated_pictures_that_are_wrong(folder, waiting):
    edit(folder / "annotations.json", lambda content: content.update(unannotated=waiting))
    with pytest.raises(DatasetError, match=r"annotations\.json: unannotated"):
        label_studio.read(folder, EXPORT)
