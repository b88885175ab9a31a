"""Annotate an extracted folder with Label Studio, and bring what was annotated back.

Without --import: writes label_studio/tasks.json and config.xml into the folder, and prints the commands that run Label
Studio on it. What a model pre-filled becomes predictions, what a person annotated becomes annotations.

With --import: reads Label Studio's export "JSON" into the folder's annotations.json, and keeps the former one beside it
(.bak, .bak2, ...). Skipped pictures, and those that nobody has submitted yet, are no ground truth: they are kept apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer bag label-studio``."""
    parser.add_argument("folder", type=Path, help="what caer bag extract wrote")
    parser.add_argument("--import", dest="export", type=Path, metavar="EXPORT.json", help="what Label Studio exported")
    parser.add_argument("--partial", action="store_true", help="with --import: not everybody in the pictures has a box")


def run(args: argparse.Namespace) -> int:
    """Write the tasks, or read the export. Raises DatasetError."""
    import argparse

    if args.partial and not args.export:
        raise argparse.ArgumentTypeError("--partial: only with --import")
    return _import(args) if args.export else _write(args)


def _write(args: argparse.Namespace) -> int:
    from caer_ros.recordings.annotations import label_studio

    written = label_studio.write(args.folder)
    print(
        f"written: {written.tasks} ({written.predicted:,} pictures pre-filled by a model, {written.annotated:,} "
        f"annotated before, {written.empty:,} empty) and {written.config.name} beside it"
    )
    if (data := written.tasks.parent / label_studio.DATA).exists():
        print(
            f"The project in {data} has tasks of its own: omit step 2; or import what is annotated there, remove that "
            "folder, write the tasks again, and start anew."
        )
    print(f"\n{label_studio.commands(args.folder)}")
    return 0


def _import(args: argparse.Namespace) -> int:
    from caer_ros.recordings.annotations import label_studio

    imported = label_studio.read(args.folder, args.export, partial=args.partial)
    print(
        f"{imported.pictures:,} pictures annotated: {imported.persons:,} persons ({imported.with_emotions:,} with an "
        f"emotion, {imported.with_track:,} with a track), {imported.ignored:,} regions to ignore"
    )
    for note in imported.notes:
        print(note)
    if imported.backup:
        print(f"written: {args.folder / 'annotations.json'}; the former one is {imported.backup.name}")
    else:
        print("nothing has changed since the last import")
    return 0
