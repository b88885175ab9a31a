"""`caer bench node`: that a real run gives a report of the promised shape, and that the sums in it are right."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ros_process import CAER, environment, run, until

from caer_ros.cli.bench import bench_camera, figures, node_run
from caer_ros.cli.bench.figures import Output, ReportError, Window
from caer_ros.cli.console import machine
from caer_ros.recordings.sources import COMPRESSED_IMAGE, IMAGE, Bag

MS = 1_000_000
PERCENTILES = {"p50", "p95", "p99", "max"}

# --- The real thing: capacity and one scenario, a few seconds each. Nothing is said about how fast it is. ---


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("bench")
    env = environment(tmp_path)
    command = [*CAER, "bench", "node", "--quick", "--only", "640x480-raw", "--domain", env["ROS_DOMAIN_ID"]]
    out = tmp_path / "bench.json"
    ended = run([*command, "-p", "threads:=1", "--json", "--out", str(out)], env, tmp_path / "bench", limit=110)
    assert ended.popen.returncode == 0, ended.output()
    return json.loads(ended.stdout), out


@pytest.fixture(scope="module")
def report(bench):
    return bench[0]


def test_the_report_has_the_promised_shape(report):
    assert set(report) == {
        *("format", "format_version", "date", "machine", "versions", "settings", "bag", "model", "capacity"),
        *("scenarios", "overload", "startup", "goals"),
    }
    assert (report["format"], report["format_version"]) == ("caer bench node", 1)
    assert report["settings"]["quick"] is True
    assert report["settings"]["parameters"] == {"threads": "1"}
    assert report["model"]["id"] == "bootstrap"
    assert len(report["model"]["version"]) == 16
    assert len(report["bag"]["sha256"]) == 64
    assert report["overload"] is None
    assert report["startup"] is None


def test_a_scenario_has_the_promised_shape(report):
    (scenario,) = report["scenarios"]
    assert set(scenario) == {
        *("name", "width", "height", "transport", "seconds", "persons_mean", "latency_ms", "stages_ms", "by_persons"),
        *("images", "rates", "interval_ms", "cpu", "rss_mb", "ratios"),
    }
    assert (scenario["name"], scenario["width"], scenario["height"]) == ("640x480-raw", 640, 480)
    assert set(scenario["stages_ms"]) == {"transport", "inference", "delivery", *figures.STAGES}
    assert all(set(stage) == PERCENTILES for stage in scenario["stages_ms"].values())


def test_the_node_really_ran(report):
    (scenario,) = report["scenarios"]
    assert report["capacity"]["published"] > 0
    assert scenario["images"]["published"] > 0
    assert scenario["cpu"]["percent"] > 0
    assert scenario["rss_mb"]["median"] > 20
    stages = {name: stage["p50"] for name, stage in scenario["stages_ms"].items()}
    assert all(median is not None and median >= 0 for median in stages.values())
    assert stages["total"] >= stages["overhead"]
    assert scenario["latency_ms"]["p50"] > stages["inference"] > 0


def test_the_file_holds_what_was_printed_and_can_be_shown(bench, tmp_path):
    report, out = bench
    assert json.loads(out.read_text()) == report
    shown = run([*CAER, "bench", "node", "--read", str(out), "--markdown"], environment(tmp_path), tmp_path / "shown")
    assert shown.popen.returncode == 0, shown.output()
    assert shown.stdout == figures.markdown(report)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--only", "nothing"], 2, "640x480-raw"),
        (["-p", "device=cpu"], 2, "NAME:=VALUE"),
        (["--bag", "nowhere"], 1, "nowhere"),
        (["--read", "nowhere.json"], 1, "nowhere.json"),
    ],
)
def test_what_cannot_be_measured_is_said(tmp_path, arguments, code, said):
    ended = run([*CAER, "bench", "node", *arguments], environment(tmp_path), tmp_path / "said")
    assert ended.popen.returncode == code
    assert said in ended.stderr
    assert "internal error" not in ended.stderr


def test_a_node_that_ends_at_once_is_said_with_its_last_words(tmp_path):
    env = environment(tmp_path)
    command = [*CAER, "bench", "node", "--quick", "--domain", env["ROS_DOMAIN_ID"], "-p", "device:=abacus"]
    ended = run(command, env, tmp_path / "said")
    assert ended.popen.returncode == 1
    assert "the node ended" in ended.stderr
    assert "abacus" in ended.stderr


# --- Numbers ---


def test_percentiles_interpolate():
    assert figures.percentiles(range(101), scale=2) == {"p50": 100, "p95": 190, "p99": 198, "max": 200}


def test_percentiles_of_nothing_are_unknown():
    assert figures.percentiles([]) == dict.fromkeys(PERCENTILES)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_percentiles_are_ordered(values):
    found = figures.percentiles(values, digits=9)
    assert found["p50"] <= found["p95"] <= found["p99"] <= found["max"] == pytest.approx(max(values), abs=1e-6)


@given(st.floats(-10, 10), st.floats(-1000, 1000))
def test_the_slope_of_a_line_is_found(gradient, offset):
    points = [(x, gradient * x + offset) for x in (3.0, 4.0, 7.5, 9.0)]
    assert figures.slope(points) == pytest.approx(gradient, abs=1e-6)


def test_the_slope_of_one_moment_is_zero():
    assert figures.slope([]) == figures.slope([(1.0, 5.0), (1.0, 6.0)]) == 0.0


def test_quarters_compare_the_beginning_with_the_end():
    assert figures.quarters([1, 1, 50, 50, 50, 50, 3, 5]) == (1, 4)
    assert figures.quarters([7]) == (7, 7)


# --- Sections ---


def output(stamp_ms, latency_ms=50, persons=1, drops=0):
    """Received after 5 ms, inference 30 of 40 ms, published 2 ms before it arrived."""
    return Output(
        stamp_ns=stamp_ms * MS,
        received_ns=(stamp_ms + 5) * MS,
        published_ns=(stamp_ms + latency_ms - 2) * MS,
        arrived_ns=(stamp_ms + latency_ms) * MS,
        processing=0.04,
        inference=0.03,
        drops=drops,
        persons=persons,
    )


DIAGNOSTICS = {f"{stage} {which} (ms)": "1.500" for stage in figures.STAGES for which in ("p50", "p95")}
WINDOW = Window(
    seconds=2.0,
    outputs=[output(1000), output(1100, persons=2), output(1300, drops=1, persons=2)],
    sent_ns=[1000 * MS, 1100 * MS, 1200 * MS, 1300 * MS, 1400 * MS],
    received_rate=2.5,
    cpu_seconds=0.6,
    memory=[(0.0, 100_000_000), (0.5, 100_000_000), (1.0, 101_000_000), (1.5, 103_000_000)],
    diagnostics=DIAGNOSTICS,
)


def test_a_scenario_adds_up():
    found = figures.scenario("640x480-raw", (640, 480), "raw", WINDOW)
    assert found["latency_ms"]["p50"] == 50
    assert found["stages_ms"]["transport"]["p50"] == 5
    assert found["stages_ms"]["inference"]["p99"] == 30
    assert found["stages_ms"]["delivery"]["p50"] == 2
    assert found["stages_ms"]["decode"] == {"p50": 1.5, "p95": 1.5, "p99": None, "max": None}
    assert found["rates"] == {"camera": 2.5, "received": 2.5, "published": 1.5}
    assert found["interval_ms"]["p50"] == 150
    assert found["interval_ms"]["jitter"] == 50
    assert found["cpu"] == {"percent": 30.0, "ms_per_image": 200.0}
    assert found["rss_mb"] == {"median": 100.5, "max": 103.0}
    assert found["persons_mean"] == 1.67
    assert found["ratios"]["overhead_to_inference"] == 0.05


def test_overhead_is_told_for_each_number_of_persons():
    ones, twos = figures.by_persons(WINDOW.outputs)
    assert ones == {"persons": 1, "images": 1, "overhead_ms": 10.0, "inference_ms": 30.0}
    assert (twos["persons"], twos["images"]) == (2, 2)


def test_images_that_did_not_come_out_were_dropped_or_lost():
    # 1200 was replaced by 1300; of 1400 nothing is known.
    assert figures.images(WINDOW) == {"sent": 5, "published": 3, "missed": 2, "dropped": 1, "lost": 1}


def test_a_scenario_without_any_output_has_no_numbers_and_can_be_shown(report):
    silent = figures.scenario("640x480-raw", (640, 480), "raw", replace(WINDOW, outputs=[], diagnostics={}))
    assert silent["latency_ms"]["p50"] is None
    assert silent["images"]["missed"] == 5
    partial = {**report, "scenarios": [silent]}
    goals = figures.goals(partial)
    assert not any(goal["met"] for goal in goals)
    assert "**not met**" in figures.markdown({**partial, "goals": goals})


def test_overload_counts_ages_in_periods():
    window = replace(WINDOW, outputs=[output(0, 102), output(100, 102), output(200, 102), output(300, 252)])
    found = figures.overload(window, capacity=0.5)
    assert found["period_ms"] == 100
    assert found["age_periods"] == {"p50": 1.0, "p95": 2.275, "p99": 2.455, "max": 2.5}
    assert found["camera_to_capacity"] == 5
    assert found["rss_mb"]["growth"] == 3.0
    assert found["rss_mb"]["slope_per_minute"] == pytest.approx(60 * 2.0)


def test_overload_without_outputs_is_an_error():
    with pytest.raises(ReportError, match="published 1 messages"):
        figures.overload(replace(WINDOW, outputs=[output(0)]), capacity=1.0)


def test_goals_are_met_or_not(report):
    runs = [{"status_s": 1.0, "model_s": 2.0, "first_message_s": number} for number in (3.0, 5.0, 4.0)]
    slow = replace(WINDOW, outputs=[output(t, 150) for t in (0, 50, 100)])
    full = {
        **report,
        "scenarios": [figures.scenario("640x480-raw", (640, 480), "raw", WINDOW)],
        "overload": figures.overload(slow, 1.0),
        "startup": figures.startup(runs),
    }
    assert full["startup"]["first_message_s"] == 4.0
    full["goals"] = figures.goals(full)
    assert [goal["met"] for goal in full["goals"]] == [True, True, False, True]
    text = figures.markdown(full)
    assert "| 640×480 raw | 50.0 | 50.0 | 50.0 | 1.50 | 5.0 % | 50.00 |" in text
    assert "| 640×480 raw | 2 | 2 | 10.00 | 30.0 |" in text
    assert "| overload: oldest output | 2.96 inference periods | 2 | **not met** |" in text
    assert "| first ~/emotions | 4.00 | 3.00 | 5.00 |" in text


def test_every_row_of_the_markdown_has_the_columns_of_its_table(report):
    for block in figures.markdown(report).split("\n\n"):
        rows = [line.count("|") for line in block.splitlines() if line.startswith("|")]
        assert len(set(rows)) <= 1, block


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON"),
        ('{"format": "something else"}', "no report"),
        ('{"format": "caer bench node", "format_version": 0}', "format version 0"),
    ],
)
def test_a_file_that_is_no_report_is_refused(tmp_path, text, said):
    file = tmp_path / "report.json"
    file.write_text(text)
    with pytest.raises(ReportError, match=said):
        figures.read(file)


# --- The camera, the machine ---


def test_an_image_is_fitted_whole_and_its_borders_are_drawn_out():
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, :20] = 200
    fitted = bench_camera.fitted(image, (160, 80))
    assert fitted.shape == (80, 160, 3)
    assert (fitted[:, :70] == 200).all()
    assert (fitted[:, 90:] == 0).all()


@pytest.mark.parametrize(
    ("transport", "topic", "kind"),
    [("raw", "/camera/image_raw", IMAGE), ("compressed", "/camera/image_raw/compressed", COMPRESSED_IMAGE)],
)
def test_the_camera_s_bag_shows_the_pictures_in_the_size_asked_for(tmp_path, transport, topic, kind):
    # A smooth picture, which JPEG keeps.
    image = np.linspace(0, 255, 64, dtype=np.uint8)[None, :, None].repeat(48, 0).repeat(3, 2)
    bag = bench_camera.write([image] * 4, (128, 96), transport, tmp_path / "bag")
    (found,) = [stream for stream in Bag(bag).streams if stream.topic == topic]
    assert (found.msgtype, found.count) == (kind, 4)
    pictures = bench_camera.pictures(bag, 2)
    assert len(pictures) == 2
    expected = bench_camera.fitted(image, (128, 96)).astype(int)
    assert np.abs(pictures[0].astype(int) - expected).max() <= 4
    assert Bag(bag).period_ns == pytest.approx(1e9 / bench_camera.RATE, rel=0.01)


WORKS_50_MS = """
import time
while time.process_time() < 0.05: pass
print("worked", flush=True)
time.sleep(600)
"""


def test_a_process_has_used_what_it_worked(tmp_path):
    with node_run.Process("worker", [sys.executable, "-c", WORKS_50_MS], tmp_path / "log") as worker:
        assert until(lambda: worker.last_lines(1) == ["worked"])
        before = worker.cpu_seconds()
        assert before >= 0.03  # user and system time are each rounded down to 10 ms
        assert worker.cpu_seconds() >= before
        assert worker.usage.memory_info().rss > 0


def test_the_machine_and_the_versions_are_named():
    described = machine.describe()
    assert described["cores"] >= 1
    assert described["memory_gb"] > 0
    versions = machine.versions(ros=True)
    assert versions["python"] == sys.version.split()[0]
    assert versions["numpy"] == np.__version__
    assert "unknown" not in versions.values()
