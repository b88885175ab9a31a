"""The examples of README.md and docs/ are run as printed, so that they cannot rot."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from ros_process import environment, process, ros_node, run, until

from caer_ros.msg import PersonEvent
from caer_ros.perception.bundle.bundle import EXPRESSION_NETWORK, EXPRESSION_PAIR, FILES, MANIFEST
from caer_ros.perception.bundle.reading import read_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
BUNDLES = (ROOT / "docs" / "bundles.md").read_text()
PAGES = [page for pattern in ("*.md", "docs/*.md", "models/*/README.md") for page in sorted(ROOT.glob(pattern))]


def blocks(text: str, language: str) -> list[str]:
    """The fenced code of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def field_names(section: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Full names of a section's fields: ``thresholds.person``, ``provenance.metrics[].name``."""
    for name, value in section.items():
        inside = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else value
        if isinstance(inside, dict):
            yield from field_names(inside, f"{prefix}{name}{'[]' * (inside is not value)}.")
        else:
            yield f"{prefix}{name}"


def test_the_model_example_writes_a_bundle_that_runs(tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text(blocks(BUNDLES, "python")[0])
    env = environment(tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    enter = ["bash", "-ec", 'cd "$0"; "$@"', str(work)]
    done = run([*enter, sys.executable, str(script)], env, tmp_path / "example")
    assert done.popen.returncode == 0, done.output()
    assert f"It prints `{done.stdout.strip()}`" in BUNDLES

    # The commands below it, where `caer` is the one of this Python.
    commands = blocks(BUNDLES, "sh")[0]
    assert "caer models verify toy --load" in commands
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    env["CAER_MODEL_PATH"] = str(work)
    done = run([*enter, "bash", "-euc", commands], env, tmp_path / "commands")
    assert done.popen.returncode == 0, done.output()
    assert "toy: ok" in done.stdout
    assert "runs on" in done.stdout


def test_the_annotated_model_yaml_is_right(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(blocks(BUNDLES, "yaml")[0])
    assert read_bundle(tmp_path, verify=False).kind == "single_shot"


def test_the_expression_section_is_right(tmp_path: Path) -> None:
    document = yaml.safe_load((ROOT / "models" / "bootstrap" / MANIFEST).read_text())
    document |= yaml.safe_load(blocks(BUNDLES, "yaml")[1])
    labels = document["expression"]["labels"]
    document |= {"label_set": "eight", "labels": labels, "predictable": labels}
    document["files"]["expression"] = document["files"].pop("expression_grey")
    del document["files"]["expression_colour"]
    (tmp_path / MANIFEST).write_text(yaml.safe_dump(document))
    assert read_bundle(tmp_path, verify=False).expression is not None


def test_every_field_of_a_bundle_is_described() -> None:
    annotated = yaml.safe_load(blocks(BUNDLES, "yaml")[0])
    carried = yaml.safe_load((ROOT / "models" / "bootstrap" / MANIFEST).read_text())
    network = yaml.safe_load(blocks(BUNDLES, "yaml")[1])
    resize = {"resize": dict.fromkeys(("mode", "size", "short", "max", "multiple", "interpolation"))}
    described = set(re.findall(r"^\| `([\w.*\[\]]+)` \|", BUNDLES, re.MULTILINE))
    for name in {*field_names(annotated), *field_names(carried), *field_names(network), *field_names(resize)}:
        name = re.sub(r"^files\.\w+\.", "files.*.", name)
        assert name in described, f"docs/bundles.md lacks `{name}`"
    for kind in (*FILES.values(), EXPRESSION_PAIR, EXPRESSION_NETWORK):
        for file in kind:
            assert f"`files.{file}`" in BUNDLES


def test_the_dialogue_manager_hears_of_an_event(tmp_path: Path) -> None:
    (code,) = blocks((ROOT / "README.md").read_text(), "python")
    script = tmp_path / "dialogue.py"
    script.write_text(code)
    env = environment(tmp_path)
    with ros_node(env) as node, process([sys.executable, str(script)], env, tmp_path / "dialogue") as dialogue:
        publisher = node.create_publisher(PersonEvent, "/emotion/events", 50)
        assert until(publisher.get_subscription_count), dialogue.output()
        publisher.publish(PersonEvent(type=PersonEvent.LEFT, track_id="a-1", previous_label="Sad"))
        publisher.publish(PersonEvent(type=PersonEvent.EMOTION_CHANGED, track_id="a-2", label="Sad", score=0.75))
        dialogue.wait_for("a-2 appears sad (0.75)")
        assert "a-1" not in dialogue.output()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_into_the_repository_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name}: {target}"
