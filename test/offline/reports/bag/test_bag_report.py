"""What is in the report of a bag; how it looks and behaves is tested in a browser."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html import unescape

import cv2
import numpy as np
import pytest
from offline.evaluation import made_evaluation

from caer_ros.offline.data.predictions import Predictions
from caer_ros.offline.evaluation.bags.as_recorded import WARNING
from caer_ros.offline.evaluation.bags.bag_measures import measure
from caer_ros.offline.metrics import summary
from caer_ros.offline.reports.bag import bag_pictures, bag_report, gallery, headline, person_timeline


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return made_evaluation.record(tmp_path_factory.mktemp("made") / "recording")


@pytest.fixture(scope="module")
def offline(recording):
    return made_evaluation.offline(recording)


@pytest.fixture(scope="module")
def recorded(recording):
    return made_evaluation.recorded(recording)


@pytest.fixture(scope="module")
def page(offline):
    return bag_report.html(offline.result, offline.joined, offline.pictures)


@pytest.fixture(scope="module")
def page_as_recorded(recorded):
    return bag_report.html(recorded.result, recorded.joined, recorded.pictures)


def figures(page):
    """Headline numbers by their name."""
    found = re.findall(r"<strong>([^<]*)(?:<em>[^<]*</em>)?</strong><span>([^<]*)</span><small>([^<]*)</small>", page)
    return {unescape(name): (value, unescape(beside)) for value, name, beside in found}


def headings(page):
    return re.findall(r"<h2>([^<]*)</h2>", page)


def test_the_headline_is_the_results(page, offline):
    evaluation, shown = offline.result.evaluation, figures(page)
    value, beside = shown["OER, offline"]
    assert value == f"{100 * evaluation.oer.mean_average_precision:.2f}"
    assert f"floor (chance) {100 * evaluation.oer.chance:.2f}" in beside
    assert shown["PD"][0] == f"{100 * evaluation.pd.ap:.2f}"
    assert shown["persons found"] == ("94.44", "170 of 180, at IoU 0.5 and the model's threshold")
    assert shown["false persons"] == ("10", "1 in 6 s that are annotated in full")  # one in 60 images at 10 Hz
    assert shown["HOTA"][0] == f"{100 * offline.result.tracking.hota:.2f}"
    assert shown["until a change is told"] == ("0.6", "median; 95 %: 0.6 s; 0 of 1 changes never")
    assert "ER" not in shown  # nothing was read in annotated boxes
    assert "latency" not in shown


def test_offline_and_as_recorded_are_told_apart(page, page_as_recorded, recorded):
    assert "<title>made (0123456789abcdef) on bag, offline</title>" in page
    assert '<span class="manner">offline</span> The model saw every annotated frame once' in page
    assert "streaming" not in page
    assert headings(page)[:3] == ["Persons in time", "Worst errors", "Curves"]
    assert "<title>made (0123456789abcdef) on bag, as recorded, at 200 ms</title>" in page_as_recorded
    assert "At each annotated stamp + 200 ms the newest message" in page_as_recorded
    value, beside = figures(page_as_recorded)["OER, streaming at 200 ms"]
    assert value == f"{100 * recorded.result.evaluation.oer.mean_average_precision:.2f}"
    assert f"strict {100 * recorded.result.strict.oer.mean_average_precision:.2f}" in beside
    assert figures(page_as_recorded)["latency"][0] == f"{1000 * recorded.result.timing.latency.median:.3g}"


def test_intervals_stand_beside_their_numbers(offline, recording):
    halves = [number // 30 for number in range(60)]
    evaluation = summary.evaluate(recording.dataset, recording.answers, replicates=10, groups=halves)
    shown = {figure.name: figure for figure in headline.numbers(replace(offline.result, evaluation=evaluation))}
    interval = evaluation.intervals["oer"]
    said = f"95% within [{100 * interval.low:.2f}, {100 * interval.high:.2f}]"
    assert said in shown["OER, offline"].beside


def test_the_frames_fates_are_counted(page_as_recorded, recorded):
    account = recorded.result.account
    fates = account.frames
    assert "<h3>All 60 frames</h3>" in page_as_recorded
    said = dict(re.findall(r"</i>(in time|late|dropped|unknown why) (\d+) \(", page_as_recorded))
    assert {name: int(count) for name, count in said.items()} == {
        "in time": fates.in_time,
        "late": fates.late,
        "dropped": fates.unanswered - account.unexplained,
        "unknown why": account.unexplained,
    }
    grown = re.findall(r'<i class="fate ([a-z-]+)" style="flex-grow:(\d+)"></i>', page_as_recorded)
    assert {name.replace("-", " "): int(count) for name, count in grown} == {
        name: int(count) for name, count in said.items() if int(count)
    }


def test_it_needs_nothing_beside_it(page, page_as_recorded):
    for document in (page, page_as_recorded):
        assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', document)
        assert not re.search(r"https?:|@import|url\(", re.sub(r'"data:[^"]*"', "", document))
        anchors = set(re.findall(r'<section id="([^"]*)"', document))
        assert set(re.findall(r'href="#([^"]*)"', document)) == anchors


def test_every_plot_there_are_numbers_for(page, page_as_recorded):
    always = {"Persons: precision and recall", "OER by overlap", "Reliability", "Tracks"}
    times = {"OER against deadline", "Latency and age", "Inside the node", "Age of what was known", "Drops"}
    for document, expected in ((page, always), (page_as_recorded, always | times)):
        shown = re.findall(r"<h3>([^<]*)</h3><p class=\"note\">[^<]*</p><img class=\"plot\"", document)
        assert sorted(shown) == sorted(expected)
    for svg in re.findall(r"image/svg\+xml;base64,([^\"]*)", page_as_recorded):
        assert b"<svg" in base64.b64decode(svg)


def test_labels_and_overlaps_have_their_tables(page, offline):
    field, rows = offline.result.evaluation.oer, re.findall(r"<tr>(.*?)</tr>", page)
    cells = [re.findall(r">([^<>]*)</td>", row) for row in rows]
    assert ["0.50", f"{100 * field.by_threshold[0]:.2f}", f"{100 * field.found[0]:.2f}"] in cells
    labels = offline.result.model.labels
    for label, precision, positives in zip(labels, field.average_precision, field.positives, strict=True):
        (row,) = [row for row in cells if row and row[0] == label]
        assert row[1] == str(positives)
        assert row[4] == ("—" if np.isnan(precision) else f"{100 * precision:.2f}")


def test_every_person_has_a_line_with_a_band_of_what_is_true_and_of_what_was_said(page):
    lines = re.findall(r'<div class="lanes frames"[^>]* data-row="(\d)" aria-label="([^"]*)"', page)
    assert lines == [("0", "1-2"), ("1", "1-1"), ("2", "1-3")]
    assert page.count('<div class="band truth"><i class="k') == page.count('<div class="band said"><i class="k') == 3
    assert page.count('<div class="band delays"><i class="delay"') == 1


def test_pictures_are_small_and_few(page):
    sides = []
    for data in re.findall(r"image/jpeg;base64,([^\"\\]*)", page):
        image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        sides.append(max(image.shape[:2]))
    cuts = [side for side in sides if side <= person_timeline.CUT_SIDE]
    drawings = [side for side in sides if side > person_timeline.CUT_SIDE]
    assert len(cuts) == 3 * (person_timeline.CUTS_EACH + 1)  # and a portrait each
    assert 0 < len(drawings) <= 3 * gallery.MOST
    assert max(drawings) <= gallery.SIDE
    assert len(page) < 2e6


def test_the_worst_errors_are_those_that_were_planted(page):
    missed, false, wrong = re.split(r"<h3>(?:False boxes|Wrong labels)</h3>", page.partition("Worst errors</h2>")[2])
    assert "not found<small>1-3 · at 0:01.5 · 10 frames over 0.9 s</small>" in missed
    assert "found with a score of 45 %<small>at 0:04.2 · 5 frames over 0.4 s</small>" in false
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", wrong.partition("</section>")[0])
    assert 1 < len(captions) <= gallery.MOST
    scores = [int(re.search(r" (\d+) %<small>", caption).group(1)) for caption in captions]
    assert scores == sorted(scores, reverse=True)


def test_no_pictures_of_people_unless_wanted(offline, page):
    bare = bag_report.html(offline.result, offline.joined, None)
    assert "image/jpeg" not in bare
    assert headings(bare) == headings(page)
    assert "not found<small>" in bare  # in words


def test_frames_that_cannot_be_decoded_are_named_and_the_rest_is_shown(offline, page):
    problems = []

    def fetch(image_ids):
        problems.extend(f"{image_id}: a hole" for image_id in image_ids)
        return iter(())

    bare = bag_report.html(offline.result, offline.joined, bag_pictures.Pictures(fetch, problems))
    assert "image/jpeg" not in bare
    assert "Persons in time" in bare
    assert all(f"<li>{problem}</li>" in bare.partition("Without a picture</h2>")[2] for problem in problems)
    assert len(problems) > 1
    assert "Without a picture" not in page


def test_only_the_frames_that_are_shown_are_decoded_and_each_once(offline):
    samples, asked, used = offline.joined.samples, [], []

    def fetch(image_ids):
        asked.append(sorted(image_ids))
        return offline.pictures.fetch(image_ids)

    def used_as(name):
        return lambda pixels: used.append((name, pixels.shape)) or name.encode()

    first, second = samples[3].image_id, samples[40].image_id
    shots = {
        "b": bag_pictures.Shot(second, used_as("b")),
        "a": bag_pictures.Shot(first, used_as("a")),
        "c": bag_pictures.Shot(second, used_as("c")),
    }
    taken = bag_pictures.take(bag_pictures.Pictures(fetch), shots)
    assert taken == {"a": b"a", "b": b"b", "c": b"c"}
    assert asked == [sorted([first, second])]
    assert used == [("a", (240, 320, 3)), ("b", (240, 320, 3)), ("c", (240, 320, 3))]  # in the order of the bag
    assert offline.pictures.problems == []


def test_warnings_stand_above_everything_and_what_was_left_out_is_listed(offline):
    warning = f"{WARNING}: made wrote the first draft of these annotations."
    left_out = tuple(f"image {number}: cannot be decoded" for number in range(15))
    result = replace(offline.result, notes=(warning, "A note."), left_out=left_out)
    page = bag_report.html(result, offline.joined, None)
    assert page.index(f'<p class="warning">{warning}</p>') < page.index('class="figures"')
    assert page.count(warning) == 1
    assert "<li>A note.</li>" in page
    assert "<summary>3 more</summary>" in page
    assert page.count(": cannot be decoded</li>") == 15


def test_the_origin_is_whole(page, offline):
    identity = offline.result.identity
    for fact in (identity.command, identity.run_hash, identity.truth, identity.bundle_sha256, *identity.bags.values()):
        assert fact in page
    for name, version in identity.versions.items():
        assert f"{name} {version}" in page
    assert "60 of 60 frames annotated over 5.9 s" in page
    assert "Emotions are <b>apparent</b> emotions" in page


def test_names_are_no_markup(offline):
    nasty = "<script>alert(1)</script>"
    result = replace(
        offline.result,
        model=replace(offline.result.model, model=nasty),
        notes=(nasty,),
        left_out=(nasty,),
        identity=replace(offline.result.identity, command=nasty, settings={nasty: nasty}),
    )
    samples = tuple(
        replace(sample, track_ids=tuple(f"{nasty}{track}" for track in sample.track_ids))
        for sample in offline.joined.samples
    )
    header = replace(offline.joined.header, labels=tuple(f"{nasty}{label}" for label in offline.joined.header.labels))
    page = bag_report.html(result, replace(offline.joined, samples=samples, header=header), None)
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 10
    assert "\\u003cscript\\u003e" in page  # in the script's data


def remade(recording, dataset, answers):
    changed = replace(recording, dataset=dataset, answers=answers)
    return made_evaluation.made(changed, measure(dataset, answers), "offline")


def test_without_tracks_there_are_errors_and_no_timeline(recording):
    dataset = replace(
        recording.dataset,
        samples=tuple(replace(sample, track_ids=("",) * len(sample)) for sample in recording.dataset.samples),
    )
    images = [replace(image, tracked=None) for image in recording.answers.images]
    made = remade(recording, dataset, Predictions(recording.answers.header, images))
    page = bag_report.html(made.result, made.joined, made.pictures)
    assert headings(page)[:2] == ["Worst errors", "Curves"]
    assert {"HOTA", "flicker"}.isdisjoint(figures(page))
    assert "10 frames over 0.9 s" in page


def test_without_emotions_there_are_persons(recording):
    dataset = replace(
        recording.dataset,
        labels=(),
        samples=tuple(
            replace(sample, emotions=sample.emotions[:, :0], votes=sample.votes[:, :0])
            for sample in recording.dataset.samples
        ),
    )
    header = replace(recording.answers.header, labels=())
    images = [
        replace(
            image,
            emotions=image.emotions[:, :0],
            tracked=replace(image.tracked, smoothed=image.emotions[:, :0], top=np.full(len(image.boxes), -1)),
        )
        for image in recording.answers.images
    ]
    made = remade(recording, dataset, Predictions(header, images))
    page = bag_report.html(made.result, made.joined, made.pictures)
    assert [name for name in figures(page) if "OER" in name] == []
    assert "Labels: precision and recall" not in headings(page)
    assert "Wrong labels" not in page
    assert "found 83 %" in page  # the one who is missed in 10 of 60


def test_nobody_at_all(recording):
    dataset = replace(
        recording.dataset,
        samples=tuple(
            replace(
                sample,
                boxes=sample.boxes[:0],
                emotions=sample.emotions[:0],
                vad=sample.vad[:0],
                votes=sample.votes[:0],
                weights=sample.weights[:0],
                gender=(),
                age=(),
                track_ids=(),
                faces=(),
                face_boxes=sample.face_boxes[:0],
            )
            for sample in recording.dataset.samples
        ),
    )
    images = [
        replace(image, boxes=image.boxes[:0], scores=image.scores[:0], emotions=image.emotions[:0], tracked=None)
        for image in recording.answers.images
    ]
    made = remade(recording, dataset, Predictions(recording.answers.header, images))
    page = bag_report.html(made.result, made.joined, made.pictures)
    assert "Persons in time" not in headings(page)
    assert "Worst errors" not in headings(page)
    assert figures(page)["false persons"][0] == "0"
