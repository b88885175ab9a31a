"""From what was observed to the benchmark's JSON, and from that to tables. Nothing here measures anything.

Times in the report are milliseconds and end in ``_ms``, rates are per second, memory is in megabytes (10^6).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

FORMAT = "caer bench node"
FORMAT_VERSION = 1
"""Raised when a field changes its meaning or goes away; new fields may appear at any time."""

STAGES = ("wait", "decode", "resize", "post", "track", "message", "publish", "overhead", "total")
"""Stages that only the node knows; it gives their median and 95th percentile."""

OVERHEAD_LIMIT_MS = 3.0
OVERHEAD_LIMIT_RATIO = 0.1
AGE_LIMIT_PERIODS = 2.0
MEMORY_LIMIT_MB = 5.0
"""Python and ONNX Runtime settle within this; what grows on and on passes it within a minute."""

Json = dict[str, Any]


class ReportError(ValueError):
    """A file is no report of this benchmark, or too little was observed for one."""


@dataclass(frozen=True)
class Output:
    """One message of the node. Times in nanoseconds of the ROS clock, durations in seconds."""

    stamp_ns: int
    received_ns: int
    published_ns: int
    arrived_ns: int
    """Time in the benchmark's callback."""
    processing: float
    inference: float
    drops: int
    persons: int


@dataclass(frozen=True)
class Window:
    """What happened in a stretch of time, by the images' stamps."""

    seconds: float
    outputs: list[Output]
    sent_ns: list[int]
    """Stamps of the images that the camera sent."""
    received_rate: float | None
    cpu_seconds: float
    """User and system time of the node."""
    memory: list[tuple[float, int]]
    """Seconds since the start, and bytes resident in the node."""
    diagnostics: dict[str, str]
    """The node's own /diagnostics at the end."""


# --- Numbers -------------------------------------------------------------------------------------------------------


def percentiles(values: Iterable[float], scale: float = 1.0, digits: int = 3) -> Json:
    """``p50``, ``p95``, ``p99`` and ``max`` of ``values`` times ``scale``, interpolated; None for no values."""
    found = np.fromiter(values, np.float64) * scale
    if not found.size:
        return dict.fromkeys(("p50", "p95", "p99", "max"))
    p50, p95, p99 = np.percentile(found, (50, 95, 99))
    named = {"p50": p50, "p95": p95, "p99": p99, "max": found.max()}
    return {name: round(float(value), digits) for name, value in named.items()}


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Slope of the straight line through (x, y) points by least squares; 0 for less than two different x."""
    x, y = np.array(points, np.float64).reshape(-1, 2).T
    if not x.size or np.ptp(x) == 0:
        return 0.0
    return float(np.polyfit(x - x.mean(), y, 1)[0])


def quarters(values: Sequence[float]) -> tuple[float, float]:
    """Medians of the first and of the last quarter (at least one value each)."""
    length = max(1, len(values) // 4)
    return float(np.median(values[:length])), float(np.median(values[-length:]))


def ratio(part: float | None, whole: float | None, digits: int = 3) -> float | None:
    """``part / whole``; None where one is unknown or the whole is 0."""
    return round(part / whole, digits) if part is not None and whole else None


# --- Sections of the report ----------------------------------------------------------------------------------------


def scenario(name: str, size: tuple[int, int], transport: str, window: Window) -> Json:
    """One size and transport, at a camera rate that the node can follow."""
    outputs = window.outputs
    stages = stages_ms(window)
    published = len(outputs)
    intervals = intervals_s(outputs)
    latency = percentiles((o.arrived_ns - o.stamp_ns for o in outputs), 1e-6)
    inference = stages["inference"]["p50"]
    return {
        "name": name,
        "width": size[0],
        "height": size[1],
        "transport": transport,
        "seconds": round(window.seconds, 2),
        "persons_mean": round(float(np.mean([o.persons for o in outputs])), 2) if outputs else None,
        "latency_ms": latency,
        "stages_ms": stages,
        "by_persons": by_persons(outputs),
        "images": images(window),
        "rates": rates(window),
        "interval_ms": {
            **percentiles(intervals, 1e3),
            "jitter": round(float(np.std(intervals)) * 1e3, 3) if intervals else None,
        },
        "cpu": {
            "percent": round(100 * window.cpu_seconds / window.seconds, 1),
            "ms_per_image": round(1e3 * window.cpu_seconds / published, 2) if published else None,
        },
        "rss_mb": {
            "median": round(float(np.median([size for _, size in window.memory])) / 1e6, 1),
            "max": round(max(size for _, size in window.memory) / 1e6, 1),
        },
        "ratios": {
            "overhead_to_inference": ratio(stages["overhead"]["p50"], inference),
            "latency_to_inference": ratio(latency["p50"], inference),
            "published_to_sent": ratio(published, len(window.sent_ns)),
        },
    }


def stages_ms(window: Window) -> Json:
    """Where the time goes: the first three from each message, the rest as the node sums it up (no p99, no maximum)."""
    outputs = window.outputs
    told: Json = {
        "transport": percentiles((o.received_ns - o.stamp_ns for o in outputs), 1e-6),
        "inference": percentiles((o.inference for o in outputs), 1e3),
        "delivery": percentiles((o.arrived_ns - o.published_ns for o in outputs), 1e-6),
    }
    for stage in STAGES:
        p50, p95 = (_number(window.diagnostics.get(f"{stage} p{which} (ms)")) for which in (50, 95))
        told[stage] = {"p50": p50, "p95": p95, "p99": None, "max": None}
    return told


def by_persons(outputs: Sequence[Output]) -> list[Json]:
    """Medians for each number of persons; ``overhead_ms`` is from callback to just before publish, less inference."""
    found = []
    for number in sorted({output.persons for output in outputs}):
        those = [output for output in outputs if output.persons == number]
        found.append(
            {
                "persons": number,
                "images": len(those),
                "overhead_ms": percentiles((o.processing - o.inference for o in those), 1e3)["p50"],
                "inference_ms": percentiles((o.inference for o in those), 1e3)["p50"],
            }
        )
    return found


def images(window: Window) -> Json:
    """What became of the camera's images: published, dropped for a newer one, or lost on the way to the node."""
    published = {output.stamp_ns for output in window.outputs}
    missed = sum(stamp not in published for stamp in window.sent_ns)
    dropped = sum(output.drops for output in window.outputs)
    return {
        "sent": len(window.sent_ns),
        "published": len(published),
        "missed": missed,
        "dropped": dropped,
        "lost": max(0, missed - dropped),
    }


def rates(window: Window) -> Json:
    """Images a second: sent by the camera, received and published by the node."""
    received = window.received_rate
    return {
        "camera": round(len(window.sent_ns) / window.seconds, 2),
        "received": None if received is None else round(received, 2),
        "published": round(len(window.outputs) / window.seconds, 2),
    }


def intervals_s(outputs: Sequence[Output]) -> list[float]:
    """Seconds between one output's publishing and the next."""
    times = sorted(output.published_ns for output in outputs)
    return [float(gap) for gap in np.diff(np.array(times, np.int64)) * 1e-9]


def overload(window: Window, capacity: float) -> Json:
    """Far more images than can be processed. Ages are in inference periods: the median time between two outputs.

    Raises:
        ReportError: fewer than two outputs came.
    """
    if len(window.outputs) < 2:
        raise ReportError(f"overload: the node published {len(window.outputs)} messages in {window.seconds:.0f} s")
    period = float(np.median(intervals_s(window.outputs)))
    ages = [(o.published_ns - o.stamp_ns) * 1e-9 for o in window.outputs]
    memory = [size / 1e6 for _, size in window.memory]
    first, last = quarters(memory)
    return {
        "seconds": round(window.seconds, 2),
        "rates": rates(window),
        "camera_to_capacity": ratio(len(window.sent_ns) / window.seconds, capacity),
        "images": images(window),
        "period_ms": round(period * 1e3, 3),
        "age_ms": percentiles(ages, 1e3),
        "age_periods": percentiles(ages, 1 / period),
        "cpu": {"percent": round(100 * window.cpu_seconds / window.seconds, 1)},
        "rss_mb": {
            "first_quarter": round(first, 2),
            "last_quarter": round(last, 2),
            "growth": round(last - first, 2),
            "slope_per_minute": round(slope([(t, size / 1e6) for t, size in window.memory]) * 60, 3),
            "max": round(max(memory), 2),
        },
    }


def startup(runs: Sequence[Json]) -> Json:
    """Seconds from process start to the first ~/status, to the loaded model, and to the first message with persons."""
    names = ("status_s", "model_s", "first_message_s")
    return {
        "runs": list(runs),
        **{name: round(float(np.median([run[name] for run in runs])), 3) for name in names},
    }


def goals(report: Json) -> list[Json]:
    """What was aimed at, what came out, and whether that is met; only for what was measured."""
    found = []
    for measured in report["scenarios"]:
        name, overhead = measured["name"], measured["stages_ms"]["overhead"]["p50"]
        if measured["width"] == 640:
            found.append(_goal(f"{name}: overhead, median", overhead, OVERHEAD_LIMIT_MS, "ms"))
            share = measured["ratios"]["overhead_to_inference"]
            found.append(_goal(f"{name}: overhead to inference, medians", share, OVERHEAD_LIMIT_RATIO, ""))
    if loaded := report["overload"]:
        age, growth = loaded["age_periods"]["max"], loaded["rss_mb"]["growth"]
        found.append(_goal("overload: oldest output", age, AGE_LIMIT_PERIODS, "inference periods"))
        found.append(_goal("overload: memory, last quarter less first", growth, MEMORY_LIMIT_MB, "MB"))
    return found


def _goal(name: str, value: float | None, limit: float, unit: str) -> Json:
    return {"name": name, "value": value, "limit": limit, "unit": unit, "met": value is not None and value <= limit}


def now() -> str:
    """Date and time of a measurement, ISO 8601 in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def read(path: Path) -> Json:
    """A report that was written before. Raises ReportError when the file is none, or of another version."""
    try:
        report = json.loads(path.read_text("utf8"))
    except OSError as error:
        raise ReportError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ReportError(f"{path}: is no JSON: {error}") from error
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise ReportError(f"{path}: is no report of `caer bench node`")
    if report["format_version"] != FORMAT_VERSION:
        raise ReportError(
            f"{path}: has format version {report['format_version']}, this program reads {FORMAT_VERSION}: measure again"
        )
    return report


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


# --- Tables --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """Something to print: the first column says what, the others how much."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


STAGE_WORDS = {
    "transport": "transport: image stamp to callback",
    "wait": "mailbox: callback to worker",
    "decode": "decode",
    "resize": "resize",
    "inference": "inference",
    "post": "post-processing: boxes, faces, scores",
    "track": "post-processing: tracks, smoothing",
    "message": "building the message",
    "publish": "publish",
    "delivery": "delivery: publish to the receiver's callback",
    "overhead": "*overhead*: callback to publish return, less inference",
}


def tables(report: Json) -> list[Table]:
    """Everything in a report, for people."""
    made = [_machine_table(report)]
    if scenarios := report["scenarios"]:
        made += [_latency_table(scenarios), *_stage_tables(scenarios), _person_table(scenarios), _use_table(scenarios)]
    if report["overload"]:
        made.append(_overload_table(report["overload"]))
    if report["startup"]:
        made.append(_startup_table(report["startup"]))
    if report["goals"]:
        made.append(_goal_table(report["goals"]))
    return made


def markdown(report: Json) -> str:
    """The tables of a report for a Markdown page."""
    return as_markdown(tables(report))


def as_markdown(made: Sequence[Table]) -> str:
    """Tables for a Markdown page."""
    parts = []
    for table in made:
        lines = [table.header, ("---", *("---:",) * (len(table.header) - 1)), *table.rows]
        parts.append(f"**{table.title}**\n\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in lines))
    return "\n\n".join(parts) + "\n"


def show(made: Sequence[Table]) -> None:
    """Print tables on the terminal."""
    from rich.console import Console
    from rich.table import Table as Shown

    console = Console()
    for table in made:
        shown = Shown(title=table.title, title_justify="left")
        for index, column in enumerate(table.header):
            shown.add_column(column, justify="right" if index and len(table.header) > 2 else "left", overflow="fold")
        for row in table.rows:
            shown.add_row(*(cell.replace("*", "") for cell in row))
        console.print(shown)


def machine_rows(report: Json) -> list[tuple[str, str]]:
    """The machine and the versions of a report, as rows of a table with the columns "what" and "value"."""
    machine = report["machine"]
    virtual = ", virtual machine" if machine["virtual"] else ""
    return [
        ("processor", f"{machine['cpu']}, {machine['cores']} cores{virtual}"),
        ("memory", f"{machine['memory_gb']} GB"),
        ("system", f"{machine['system']}, Linux {machine['kernel']}"),
        ("load average before", f"{machine['load_before']}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in report["versions"].items())),
    ]


def _machine_table(report: Json) -> Table:
    capacity = report["capacity"]
    rows = [
        *machine_rows(report),
        ("model", f"{report['model']['id']} {report['model']['version']} on {report['model']['provider']}"),
        (
            "bag",
            f"{report['bag']['name']}, sha256 {report['bag']['sha256'][:16]}, {report['bag']['images']} images of it",
        ),
        ("capacity", f"{capacity['published']:g} images/s, with {capacity['camera']:g}/s sent"),
        ("measured", f"{report['date']}" + (", quick: too short to be quoted" if report["settings"]["quick"] else "")),
    ]
    return Table("Machine", ("what", "value"), rows)


def _latency_table(scenarios: Sequence[Json]) -> Table:
    rows = [
        (
            _title(s),
            *_cells(s["latency_ms"], ("p50", "p95", "p99")),
            _cell(s["stages_ms"]["overhead"]["p50"]),
            _percent(s["ratios"]["overhead_to_inference"]),
            _cell(s["interval_ms"]["jitter"]),
        )
        for s in scenarios
    ]
    header = ("image", "latency p50 (ms)", "p95", "p99", "overhead p50 (ms)", "of inference", "output jitter (ms)")
    return Table("Latency, from the image's stamp to the receiver's callback", header, rows)


def _stage_tables(scenarios: Sequence[Json]) -> list[Table]:
    """One row a stage: the medians of all scenarios, then the 95th percentiles."""
    made = []
    for which, word in (("p50", "Medians"), ("p95", "95th percentiles")):
        rows = [
            (words, *(_cell(s["stages_ms"][stage][which]) for s in scenarios)) for stage, words in STAGE_WORDS.items()
        ]
        made.append(Table(f"{word} of the stages (ms)", ("stage", *map(_title, scenarios)), rows))
    return made


def _person_table(scenarios: Sequence[Json]) -> Table:
    rows = [
        (
            _title(s),
            str(those["persons"]),
            str(those["images"]),
            _cell(those["overhead_ms"]),
            _cell(those["inference_ms"], 1),
        )
        for s in scenarios
        for those in s["by_persons"]
    ]
    header = ("image", "persons", "images", "overhead before publishing (ms)", "inference (ms)")
    return Table("Medians by the number of persons", header, rows)


def _use_table(scenarios: Sequence[Json]) -> Table:
    rows = [
        (
            _title(s),
            *(_cell(s["rates"][name], 1) for name in ("camera", "received", "published")),
            f"{s['images']['missed']} of {s['images']['sent']}",
            _cell(s["cpu"]["percent"], 0),
            _cell(s["cpu"]["ms_per_image"], 1),
            _cell(s["rss_mb"]["median"], 0),
            _cell(s["persons_mean"]),
        )
        for s in scenarios
    ]
    header = ("image", "camera (1/s)", "received", "published", "missed", "CPU (% of a core)", "CPU an image (ms)")
    return Table("Rates and use", (*header, "RSS (MB)", "persons an image"), rows)


def _overload_table(o: Json) -> Table:
    memory = o["rss_mb"]
    rows = [
        ("camera", f"{o['rates']['camera']:g}/s: {_cell(o['camera_to_capacity'], 1)} × capacity, {o['seconds']:g} s"),
        ("published", f"{o['rates']['published']:g}/s, {o['images']['published']} of {o['images']['sent']} images"),
        ("dropped for a newer one / lost on the way", f"{o['images']['dropped']} / {o['images']['lost']}"),
        ("inference period, median", f"{o['period_ms']:.1f} ms"),
        ("age when published, in periods", _listed(o["age_periods"])),
        ("age when published, in ms", _listed(o["age_ms"], 0)),
        ("memory, first and last quarter", f"{memory['first_quarter']:.1f} and {memory['last_quarter']:.1f} MB"),
        ("memory, slope", f"{memory['slope_per_minute']:+.2f} MB/min"),
        ("CPU", f"{o['cpu']['percent']:.0f} % of a core"),
    ]
    return Table("Overload", ("what", "value"), rows)


def _startup_table(s: Json) -> Table:
    words = {"status_s": "first ~/status", "model_s": "model loaded and warm", "first_message_s": "first ~/emotions"}
    rows = [
        (word, f"{s[name]:.2f}", f"{min(r[name] for r in s['runs']):.2f}", f"{max(r[name] for r in s['runs']):.2f}")
        for name, word in words.items()
    ]
    header = ("from process start to", "median (s)", "least", "most")
    return Table(f"Start, camera running, {len(s['runs'])} times", header, rows)


def _goal_table(found: Sequence[Json]) -> Table:
    rows = [
        (g["name"], f"{_cell(g['value'])} {g['unit']}".strip(), f"{g['limit']:g}", "met" if g["met"] else "**not met**")
        for g in found
    ]
    return Table("Goals", ("goal", "measured", "at most", "outcome"), rows)


def _title(measured: Json) -> str:
    return f"{measured['width']}×{measured['height']} {measured['transport']}"


def _listed(values: Mapping[str, float | None], digits: int = 2) -> str:
    return ", ".join(f"{name} {_cell(value, digits)}" for name, value in values.items())


def _cells(values: Mapping[str, float | None], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(_cell(values[name], 1) for name in names)


def _cell(value: float | None, digits: int = 2) -> str:
    return "—" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "—" if value is None else f"{100 * value:.1f} %"
