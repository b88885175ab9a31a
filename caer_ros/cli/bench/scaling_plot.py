"""The curves of `caer bench scaling`: milliseconds over persons. Needs matplotlib, of the extra caer_ros[offline]."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

KINDS = (".svg", ".png", ".pdf")


class PlotError(Exception):
    """A plot cannot be drawn; says why."""


def check(path: Path) -> None:
    """Check that a plot can be drawn and written, before anything is measured. Raises PlotError."""
    if path.suffix not in KINDS:
        raise PlotError(f"--plot {path}: must end in {', '.join(KINDS)}")
    if not path.resolve().parent.is_dir():
        raise PlotError(f"--plot {path}: there is no folder {path.parent}")
    if not find_spec("matplotlib"):
        raise PlotError("--plot needs matplotlib: pip install 'caer_ros[offline]', or leave --plot out")


def draw(report: dict[str, Any], path: Path) -> None:
    """One curve for each model: medians, and between the quartiles a band."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for model, described in report["models"].items():
        results = [result for result in report["results"] if result["model"] == model]
        persons = [result["persons"] for result in results]
        median, low, high = ([result["ms"][name] for result in results] for name in ("median", "q1", "q3"))
        name = model if model == described["id"] else f"{model}: {described['id']}"
        if (found := results[-1]["found"]) != persons[-1]:
            name += f" (finds {found} of {persons[-1]})"
        (line,) = axes.plot(persons, median, marker="o", markersize=4, label=name)
        full = [index for index, result in enumerate(results) if result["saturated"]]
        if full:
            axes.plot(
                [persons[index] for index in full],
                [median[index] for index in full],
                linestyle="",
                marker="o",
                markerfacecolor="white",
                markeredgecolor=line.get_color(),
                label=f"{model}: saturated, {described['max_persons']} at most",
            )
        axes.fill_between(persons, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.set_xlabel("persons in the image")
    axes.set_ylabel("camera to message (ms)")
    axes.set_ylim(bottom=0)
    axes.set_title(f"{report['machine']['cpu']}, {report['machine']['cores']} cores", fontsize="medium")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)
