"""Quick blocks of docs/ are run; all other commands of README.md, CONTRIBUTING.md and docs/ go through the parser."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from caer_ros.cli import command_line

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PAGES = ("training", "evaluation", "models")
TRAINING, EVALUATION, MODELS = ((ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in PAGES)
EVERY = TRAINING + EVALUATION + MODELS
PRINTED = "".join(page.read_text("utf-8") for page in (*sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("*.md"))))
QUICK = "## Try it in five minutes"


def blocks(text: str, language: str) -> list[str]:
    """The fenced code of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(script: str) -> Iterator[list[str]]:
    """The words after ``caer`` of each command of ours; assignments of variables before it are left out."""
    for line in script.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            del words[0]
        if words[:1] == ["caer"] and words != ["caer", "--help"]:
            yield words[1:]


ALL = [command for script in blocks(PRINTED, "sh") for command in commands(script)]


def quick(page: str) -> str:
    (block,) = blocks(page.partition(QUICK)[2].partition("\n## ")[0], "sh")
    return block


def parse(words: list[str]) -> Any:
    """What the command makes of its words; SystemExit where it makes nothing of them."""
    command = command_line.find_command(words)
    return command_line.build_parser(command).parse_args(words)


@pytest.mark.parametrize("words", ALL, ids=lambda words: " ".join(words)[:70])
def test_a_command_is_understood(words: list[str]) -> None:
    args = parse(words)
    # Fields of a training follow; they have a parser of their own.
    if words[0] == "train" and args.config not in (None, "my.yaml"):
        from caer_ros.offline.training import configuration

        configuration.read(args.config, args.overrides)
    elif words[0] == "distill":
        from caer_ros.cli import distill

        distill.configure(args.config, args.output, args.output / "frames", args.network, args.fields)


def test_a_wrong_command_is_not() -> None:
    with pytest.raises(SystemExit):
        parse(["data", "check", "emotic"])


def source(command: command_line.Command) -> str:
    return (ROOT / f"{command.module.replace('.', '/')}.py").read_text()


def test_every_command_of_the_companion_is_on_a_page() -> None:
    used = {command.words for words in ALL if (command := command_line.find_command(words))}
    ours = {command.words for command in command_line.COMMANDS if "from caer_ros.offline" in source(command)}
    written = {words for words in ours if f"`caer {' '.join(words)}`" in EVERY}
    assert ours <= used | written


@pytest.mark.timeout(600)
def test_the_quick_block_of_training_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, one command after the other: starting Python anew for each costs more than what they do."""
    pytest.importorskip("lightning")
    monkeypatch.chdir(tmp_path)
    for words in commands(quick(TRAINING)):
        assert command_line.main(words) == command_line.OK, f"caer {shlex.join(words)}: {capsys.readouterr().err}"
    assert "quick: ok" in capsys.readouterr().out
    for name in ("runs/quick_report/report.html", "models/quick/model.onnx"):
        assert (tmp_path / name).is_file()


@pytest.mark.timeout(240)
def test_the_quick_block_of_evaluation_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in commands(quick(EVALUATION)):
        assert command_line.main(words) == command_line.OK, f"caer {shlex.join(words)}: {capsys.readouterr().err}"
    assert (tmp_path / "runs/offline/report.html").is_file()
    assert len(json.loads((tmp_path / "data/hardest/annotations.json").read_text())["images"]) == 5


def test_the_example_of_own_data_is_read(tmp_path: Path) -> None:
    import cv2
    import numpy as np

    from caer_ros.offline import data

    content = json.loads(blocks(TRAINING, "json")[0])
    (image,) = content["images"]
    file = tmp_path / image["file_name"]
    file.parent.mkdir()
    cv2.imwrite(str(file), np.zeros((image["height"], image["width"], 3), np.uint8))
    (tmp_path / "train.json").write_text(json.dumps(content))
    (sample,) = data.load("own", tmp_path, "train").samples
    assert len(sample) == 2
    assert np.isnan(sample.emotions[1]).all()


def anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [TRAINING, EVALUATION, MODELS], ids=PAGES)
def test_links_to_headings_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(#([^)]+)\)", page):
        assert target in anchors(page)
    for name, target in re.findall(r"\]\((\w+\.md)#([^)]+)\)", page):
        assert target in anchors((ROOT / "docs" / name).read_text("utf-8"))
