from __future__ import annotations

import hashlib
import json
import shutil

import annotated_bag
import pytest
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from caer_ros.cli import main
from caer_ros.offline.data import predictions
from caer_ros.offline.data.synthetic import bags
from caer_ros.offline.evaluation import results
from caer_ros.offline.evaluation.bags import bag_measures
from caer_ros.offline.metrics.joined import MetricsError
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.recordings.annotations import own
from caer_ros.recordings.definitions import PERSONS, typestore


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return annotated_bag.write(tmp_path_factory.mktemp("recording") / "monday")


def evaluate(*options):
    return main(["evaluate", "bag", *map(str, options)])


def offline(made, bundle, *options):
    return evaluate(made.bag, "--truth", made.truth, "--model", bundle, "--device", "cpu", *options)


def changed(made, path, change):
    """The truth with something changed."""
    content = json.loads(made.truth.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), "utf-8")
    return path


# --- Offline -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def result(made, student_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "offline"
    assert offline(made, student_bundle, "--intervals", 10, "--output", folder) == 0
    return folder


def test_a_result_folder_holds_all_that_was_measured(result, made, student_bundle):
    names = sorted(path.name for path in result.iterdir())
    assert names == ["annotations.json", "metrics.json", "predictions.jsonl", "report.html"]
    metrics = json.loads((result / "metrics.json").read_text("utf-8"))
    assert (metrics["format"], metrics["manner"]) == ("caer evaluate bag", "offline")
    assert (metrics["deadline"], metrics["strict"], metrics["account"], metrics["timing"]) == (None,) * 4
    assert metrics["evaluation"]["images"] == 12
    assert metrics["evaluation"]["er"]["chance"] > 0
    assert metrics["evaluation"]["intervals"].keys() == {"er", "pd", "oer"}
    (bag,) = metrics["bags"]
    assert (bag["name"], bag["image_topic"], bag["images"], bag["annotated"]) == ("bag", bags.IMAGE_TOPIC, 12, 12)
    identity = metrics["identity"]
    assert identity["bundle_sha256"] == read_bundle(student_bundle).sha256
    assert identity["provider"] == "CPUExecutionProvider"
    assert identity["truth"] == hashlib.sha256((result / "annotations.json").read_bytes()).hexdigest()
    table, truth = predictions.read(result / "predictions.jsonl"), own.read(result / "annotations.json")
    assert [image.image_id for image in table.images] == [sample.image_id for sample in truth.samples]
    assert len(table.images) == 12
    assert metrics["evaluation"]["persons"] == sum(map(len, truth.samples))


def test_the_report_shows_what_the_json_says(result):
    page = (result / "report.html").read_text("utf-8")
    metrics = json.loads((result / "metrics.json").read_text("utf-8"))
    assert "offline" in page
    assert metrics["identity"]["run_hash"][:16] in page
    assert "image/jpeg" in page


def test_the_same_run_again_gives_the_same_numbers_and_hash(result, made, student_bundle, capsys):
    said = []
    for threads in (1, 2):
        assert offline(made, student_bundle, "--intervals", 10, "--json", "--threads", threads) == 0
        said.append(json.loads(capsys.readouterr().out))
    first = json.loads((result / "metrics.json").read_text("utf-8"))
    for part in ("evaluation", "tracking", "stability", "false_persons"):
        assert said[0][part] == first[part], part
    hashes = [metrics["identity"]["run_hash"] for metrics in (first, *said)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_table_says_which_manner_it_is_of(made, student_bundle, capsys):
    assert offline(made, student_bundle) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "on bag, offline:" in said
    for row in ("ER, mAP", "PD, COCO AP", "OER", "HOTA", "flicker per minute", "false persons per minute"):
        assert row in said, row


def test_several_bags_are_one_set_with_sequences_apart(made, student_bundle, tmp_path, capsys):
    """Twice the same images: twice the persons, the same OER; and in two processes as in one."""
    other = annotated_bag.merged(made.bag, annotated_bag.answered(made, tmp_path / "said"), tmp_path / "tuesday")
    assert offline(made, student_bundle, "--json") == 0
    once = json.loads(capsys.readouterr().out)
    command = (made.bag, other, *("--truth", made.truth) * 2, "--model", student_bundle, "--device", "cpu", "--json")
    results = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        assert evaluate(*command, "--processes", processes, "--no-images", "--output", folder) == 0
        results.append(json.loads(capsys.readouterr().out))
        assert not list(folder.glob("*.part.jsonl"))
    twice, parallel = results
    assert [bag["name"] for bag in twice["bags"]] == ["bag", "tuesday"]
    assert twice["evaluation"]["persons"] == 2 * once["evaluation"]["persons"]
    assert twice["tracking"]["tracks"] == 2 * once["tracking"]["tracks"]
    assert twice["tracking"]["sequences"] == 2
    metric = "mean_average_precision"
    assert twice["evaluation"]["oer"][metric] == pytest.approx(once["evaluation"]["oer"][metric])
    assert twice["false_persons"]["per_minute"] == pytest.approx(once["false_persons"]["per_minute"])
    for part in ("evaluation", "tracking", "stability", "false_persons"):
        assert parallel[part] == twice[part], part
    ids = {sample.image_id.split("/")[0] for sample in own.read(tmp_path / "1" / "annotations.json").samples}
    assert ids == {"bag", "tuesday"}


def test_predictions_outlive_what_fails_later(made, student_bundle, tmp_path, monkeypatch, capsys):
    def broken(*_, **__):
        raise MetricsError("a metric")

    monkeypatch.setattr(bag_measures, "measure", broken)
    assert offline(made, student_bundle, "--output", tmp_path) == 1
    assert len(predictions.read(tmp_path / "predictions.jsonl").images) == 12


def test_a_run_that_goes_on_says_so(made, student_bundle, tmp_path, monkeypatch, capsys):
    def broken(*_, **__):
        raise MetricsError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(results, "write", broken)
        assert offline(made, student_bundle, "--no-images", "--output", tmp_path) == 1
    assert "went on" not in capsys.readouterr().err
    assert offline(made, student_bundle, "--no-images", "--output", tmp_path) == 0
    assert f"{made.bag.name}: went on after 12 frames" in capsys.readouterr().err


def test_a_run_that_stops_leaves_nothing_of_the_one_before(result, made, student_bundle, tmp_path, monkeypatch, capsys):
    def broken(*_, **__):
        raise MetricsError("stopped")

    def left():
        return sorted(path.name for path in folder.iterdir())

    folder = shutil.copytree(result, tmp_path / "result")
    monkeypatch.setattr(bag_measures, "measure", broken)
    assert offline(made, student_bundle, "--output", folder) == 1
    assert left() == ["annotations.json", "predictions.jsonl"]
    before = results.read(result)
    monkeypatch.setattr(predictions, "write", broken)
    with pytest.raises(MetricsError, match="stopped"):
        results.write(folder, before.dataset, before.predictions)
    assert left() == ["annotations.json"]


def test_a_model_judged_by_its_own_draft_is_warned_of_everywhere(made, student_bundle, tmp_path, capsys):
    version = read_bundle(student_bundle).model_version
    draft = {"name": "tiny", "version": version, "boxes": True, "emotions": False}
    truth = changed(made, tmp_path / "truth.json", lambda content: content["info"].update(prefilled_by=draft))
    command = (made.bag, "--truth", truth, "--model", student_bundle, "--device", "cpu", "--no-images")
    assert evaluate(*command, "--output", tmp_path / "out") == 0
    assert "WARNING" in capsys.readouterr().out
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text("utf-8"))
    assert metrics["notes"][0].startswith("WARNING")
    assert "is now judged by them" in (tmp_path / "out" / "report.html").read_text("utf-8")


# --- As recorded ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def said(made, tmp_path_factory):
    """Answers that are right: 80 ms after each stamp, but none to image 4, and 380 ms after that of image 7."""
    folder = tmp_path_factory.mktemp("answers") / "said"
    return annotated_bag.answered(made, folder, lambda index: {4: None, 7: 0.38}.get(index, 0.08))


def recorded(made, said, *options):
    return evaluate(made.bag, "--truth", made.truth, "--recorded", said, *options)


def test_as_recorded_is_what_a_listener_knew(made, said, tmp_path, capsys):
    assert recorded(made, said, "--output", tmp_path, "--deadline", "0.1", "--json") == 0
    metrics = json.loads(capsys.readouterr().out)
    assert (metrics["manner"], metrics["deadline"]) == ("as recorded", 0.1)
    assert metrics["evaluation"]["oer"]["found"][0] == 1.0, "who stands still is found by the answer before"
    assert metrics["evaluation"]["er"] is None
    assert metrics["reliability_of_found"]["mean_ece"] == 0
    fates = metrics["account"]["annotated"]
    assert fates == {"in_time": 10, "late": 1, "unanswered": 1}
    assert metrics["strict"]["images"] == 12, "the one without an answer counts as missed"
    assert metrics["strict"]["oer"]["found"][0] < 1
    assert metrics["timing"]["latency"]["median"] == pytest.approx(0.08)
    assert metrics["known_age"]["median"] == pytest.approx(0.1)
    deadlines = [point["deadline"] for point in metrics["curve"]]
    assert deadlines == sorted(deadlines)
    at = metrics["curve"][deadlines.index(0.1)]
    assert at["oer"] == metrics["evaluation"]["oer"]["mean_average_precision"]
    assert at["pd"] == metrics["evaluation"]["pd"]["ap"]
    (bag,) = metrics["bags"]
    assert (bag["emotion_topic"], bag["recorded"]) == (annotated_bag.EMOTIONS, str(said))
    assert metrics["identity"]["bags"].keys() == {"bag", "bag, as recorded"}
    assert metrics["identity"]["bundle_sha256"] == "0123456789abcdef"
    messages = predictions.read(tmp_path / "predictions.jsonl")
    assert len(messages.images) == 11
    assert all(image.timing is not None for image in messages.images)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "as recorded" in page
    assert "image/jpeg" in page


def test_at_the_stamp_itself_nothing_is_known_of_a_new_image(made, said, capsys):
    assert recorded(made, said, "--deadline", "0", "--json") == 0
    metrics = json.loads(capsys.readouterr().out)
    assert (metrics["deadline"], metrics["curve"][0]["deadline"]) == (0, 0)
    assert metrics["account"]["annotated"]["in_time"] == 0


def test_a_model_that_spoke_only_later_is_warned_of_too(made, tmp_path, capsys):
    """The robot's model was exchanged after five images; the second one had drafted the truth."""
    said = annotated_bag.answered(made, tmp_path / "said", version=lambda index: "a" * 16 if index < 5 else "b" * 16)
    draft = {"name": "oracle", "version": "b" * 16, "boxes": True, "emotions": True}
    truth = changed(made, tmp_path / "truth.json", lambda content: content["info"].update(prefilled_by=draft))
    assert evaluate(made.bag, "--truth", truth, "--recorded", said, "--json") == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert notes[0].startswith(f"WARNING: oracle {'b' * 16} wrote the first draft")


def test_the_table_of_a_recording(made, said, capsys):
    assert recorded(made, said) == 0
    out = " ".join(capsys.readouterr().out.split())
    for words in (
        "on bag, as recorded, at 200 ms:",
        "OER, very frames",
        "answered late 1 1",
        "latency: stamp to publishing",
    ):
        assert words in out, words


def test_answers_may_be_in_the_bag_of_the_images(made, said, tmp_path, capsys):
    both = annotated_bag.merged(made.bag, said, tmp_path / "both")
    assert recorded(made, said, "--json") == 0
    apart = json.loads(capsys.readouterr().out)
    assert evaluate(both, "--truth", made.truth, "--recorded", "--json") == 0
    together = json.loads(capsys.readouterr().out)
    for part in ("account", "curve", "timing", "tracking"):
        assert together[part] == apart[part], part
    assert together["bags"][0]["recorded"] is None


def test_several_recordings_are_one_set(made, said, tmp_path, capsys):
    assert recorded(made, said, "--json") == 0
    once = json.loads(capsys.readouterr().out)
    other = annotated_bag.merged(made.bag, said, tmp_path / "other")
    twice = (made.bag, other, *("--truth", made.truth) * 2, *("--recorded", said) * 2)
    assert evaluate(*twice, "--json") == 0
    metrics = json.loads(capsys.readouterr().out)
    assert [bag["name"] for bag in metrics["bags"]] == ["bag", "other"]
    for name in ("in_time", "late", "unanswered"):
        assert metrics["account"]["frames"][name] == 2 * once["account"]["frames"][name]
    assert metrics["evaluation"]["persons"] == 2 * once["evaluation"]["persons"]
    assert metrics["strict"]["images"] == 2 * once["strict"]["images"]
    assert metrics["timing"]["messages"] == 2 * once["timing"]["messages"]
    assert [point["oer"] for point in metrics["curve"]] == pytest.approx([point["oer"] for point in once["curve"]])


def test_boxes_that_are_shifted_are_not_found(made, tmp_path, capsys):
    shifted = annotated_bag.answered(made, tmp_path / "said", shift=300.0)
    assert recorded(made, shifted, "--json") == 0
    metrics = json.loads(capsys.readouterr().out)
    oer = metrics["evaluation"]["oer"]
    assert oer["found"][0] == 0
    assert oer["mean_average_precision"] == pytest.approx(oer["chance"])
    assert metrics["false_persons"]["persons"] > 0


def test_clocks_that_differ_are_noted(made, tmp_path, capsys):
    early = annotated_bag.answered(made, tmp_path / "said", lambda index: -3.0)
    assert recorded(made, early, "--json") == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    (note,) = [note for note in notes if "two clocks, and deadlines mean nothing for them" in note]
    assert note.startswith("latency: ")


def test_messages_without_a_stamp_are_counted(made, tmp_path, capsys):
    unstamped = annotated_bag.answered(made, tmp_path / "said", stamped=lambda index: index != 3)
    assert recorded(made, unstamped, "--json") == 0
    metrics = json.loads(capsys.readouterr().out)
    assert any("1 messages without a stamp are left out" in note for note in metrics["notes"])
    assert metrics["account"]["annotated"]["unanswered"] == 1


# --- Bad input -----------------------------------------------------------------------------------------------------


def test_what_cannot_be_measured_is_said_before_anything_is_predicted(
    made, student_bundle, tmp_path, capsys, monkeypatch
):
    from caer_ros.offline.evaluation.bags import bag_evaluate

    def reached(*_):
        raise AssertionError("a bag was run")

    monkeypatch.setattr(bag_evaluate, "run_bags", reached)
    heads = changed(made, tmp_path / "heads.json", lambda content: content["info"].update(box_kind="head"))
    assert evaluate(made.bag, "--truth", heads, "--model", student_bundle) == 1
    assert "annotated are head boxes, predicted body boxes" in capsys.readouterr().err
    # The topic of the bag has HECO's labels, of which the tiny student knows none.
    assert evaluate(made.bag, "--model", student_bundle) == 1
    assert "none of these means a label of bag" in capsys.readouterr().err


def test_heads_are_not_held_against_bodies_unless_asked(made, student_bundle, tmp_path, capsys):
    heads = changed(made, tmp_path / "heads.json", lambda content: content["info"].update(box_kind="head"))
    command = (made.bag, "--truth", heads, "--model", student_bundle, "--device", "cpu", "--any-box-kind", "--json")
    assert evaluate(*command) == 0
    assert "Predicted are body boxes, annotated head boxes." in json.loads(capsys.readouterr().out)["notes"]


def test_labels_that_the_bundle_does_not_have_are_named(made, student_bundle, tmp_path, capsys):
    def rename(content):
        content["info"]["labels"] = ["calm", "cross", "amused"]
        for annotation in content["annotations"]:
            annotation["emotions"] = ["amused" if label == "glad" else label for label in annotation["emotions"]]

    truth = changed(made, tmp_path / "truth.json", rename)
    assert evaluate(made.bag, "--truth", truth, "--model", student_bundle, "--device", "cpu", "--json") == 0
    assert "Never predicted, so at chance: amused." in json.loads(capsys.readouterr().out)["notes"][0]


def test_what_is_left_out_is_listed(made, student_bundle, tmp_path, capsys):
    def move(content):
        image = content["images"][0]
        image["file_name"] = image["file_name"].replace(str(bags.EPOCH_NS), str(bags.EPOCH_NS + 1))

    truth = changed(made, tmp_path / "truth.json", move)
    command = (made.bag, "--truth", truth, "--model", student_bundle, "--device", "cpu")
    assert evaluate(*command, "--json") == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics["evaluation"]["images"] == 11
    assert any("annotated, but not in the bag" in line for line in metrics["left_out"])
    assert evaluate(*command) == 0
    assert "left out: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ((), 2, "one of the arguments --model --recorded is required"),
        (("--model", "a", "--recorded"), 2, "not allowed with argument"),
        (("--model", "nothing_of_that_name"), 1, "no model bundle named"),
        (("--recorded", "--deadline", "-1"), 2, "0 or more"),
        (("--recorded", "--topic", "/other"), 1, "no images on /other"),
        (("--recorded", "--truth", "gone.json"), 1, "no such file, and no topic"),
        (("--recorded", "a", "--recorded", "b"), 1, "1 bags and 2 times --recorded"),
        (("--recorded",), 1, "was ~/emotions of the node recorded?"),
    ],
)
def test_what_goes_wrong_is_said_in_one_line(made, capsys, options, code, says):
    assert evaluate(made.bag, *options) == code
    assert says in capsys.readouterr().err


def test_a_bag_without_truth_says_how_to_annotate_it(made, tmp_path, capsys):
    bare = annotated_bag.answered(made, tmp_path / "bare")
    assert evaluate(bare, "--recorded") == 1
    assert "no ground truth" in capsys.readouterr().err


def test_frames_whose_answers_cannot_be_used_are_not_said_to_be_unanswered(made, said, tmp_path, capsys):
    """Of 11 answers the third is cut, and the fourth has a score type that nobody knows."""
    types, damaged = typestore(), tmp_path / "damaged"
    with Reader(said) as reader, Writer(damaged, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection(annotated_bag.EMOTIONS, PERSONS, typestore=types)
        for index, (_, log_time, data) in enumerate(reader.messages()):
            message = types.deserialize_cdr(data, PERSONS)
            message.score_type = 9 if index == 3 else message.score_type
            whole = types.serialize_cdr(message, PERSONS)
            writer.write(connection, log_time, whole[:60] if index == 2 else whole)
    assert recorded(made, damaged, "--json") == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics["account"]["annotated"]["unanswered"] == 3, "the one without an answer too"
    assert len(metrics["left_out"]) == 2
    told = [note for note in metrics["notes"] if "cannot be used" in note]
    assert told == [
        f"bag: 2 annotated frames that count as not answered were answered on {annotated_bag.EMOTIONS}, but these "
        "messages cannot be used; see what was left out."
    ]
    assert recorded(made, said, "--json") == 0
    assert not [note for note in json.loads(capsys.readouterr().out)["notes"] if "cannot be used" in note]


def test_a_folder_without_metadata_is_evaluated_like_one_that_has_it(made, said, tmp_path, capsys):
    both = annotated_bag.merged(made.bag, said, tmp_path / "both")
    said = []
    for _ in range(2):
        assert evaluate(both, "--truth", made.truth, "--recorded", "--json") == 0
        said.append(json.loads(capsys.readouterr().out))
        (both / "metadata.yaml").unlink(missing_ok=True)
    assert said[0]["evaluation"] == said[1]["evaluation"]
