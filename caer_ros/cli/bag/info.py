"""What is in a bag, and what is wrong with it: topics, types, rates, gaps, header stamps and images.

Everything is read once, no picture is decoded unless asked. A gap is an interval between two messages of more than five
times the median. A message is late where its header stamp is earlier than that of one recorded before it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from caer_ros.recordings.bags.index import BagIndex, Images, Stamps, Topic

FORMAT = "caer bag info"
FORMAT_VERSION = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer bag info``."""
    parser.add_argument("bag", type=Path, help="a folder with metadata.yaml, or a .mcap or .db3 file")
    parser.add_argument("--decode", action="store_true", help="also decode every picture, which takes a while")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print it. Raises SourceError."""
    import json
    from functools import partial

    from rich.console import Console
    from rich.progress import track

    from caer_ros.plain_data import plain
    from caer_ros.recordings.bags.index import index

    console = Console(stderr=True)
    watch = partial(track, console=console, transient=True, disable=not console.is_terminal)
    found = index(args.bag, args.decode, lambda messages, count: watch(messages, "read", count))
    if args.json:
        print(json.dumps({"format": FORMAT, "format_version": FORMAT_VERSION} | plain(found), allow_nan=False))
    else:
        _show(found)
    return 0


def _show(bag: BagIndex) -> None:
    from rich.console import Console

    console = Console()
    compressed = f", {bag.compression}" if bag.compression else ""
    console.print(
        f"{bag.path}: {bag.storage}{compressed}, {_size(bag.size)}, {bag.count:,} messages in {bag.duration:.3f} s "
        f"from {_date(bag.start)}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    for topic in bag.topics:
        for line in _lines(topic):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    for warning in bag.warnings:
        console.print(f"warning: {warning}", markup=False, highlight=False, soft_wrap=True)


def _lines(topic: Topic) -> list[str]:
    """Its name, and indented what there is to say of it."""
    times = f"{topic.count:,} messages, {_size(topic.bytes)}"
    if topic.count > 1:
        times += f", {topic.rate:.2f} Hz over {topic.duration:.3f} s, longest interval {topic.longest:.3f} s"
        times += f", {topic.gaps} gaps" if topic.gaps else ", no gaps"
    lines = [f"\n{topic.name}  {topic.msgtype}", f"  {times}"]
    if topic.stamps and topic.count:
        lines.append(f"  stamps: {_stamps(topic.stamps)}")
    if topic.images and topic.count:
        lines.append(f"  images: {_images(topic.images)}")
    return lines


def _stamps(stamps: Stamps) -> str:
    wrong = [(stamps.zero, "zero"), (stamps.out_of_order, "out of order"), (stamps.duplicate, "that came before")]
    said = [f"{count:,} {what}" for count, what in wrong if count] or ["in order"]
    if stamps.offset == stamps.offset:
        said.append(f"recorded {stamps.offset:.3f} s after their stamp (median)")
    return ", ".join(said)


def _images(images: Images) -> str:
    size = f"{images.width}x{images.height}" if images.width else "the first cannot be read"
    checked = f", {images.undecodable:,} cannot be decoded" if images.undecodable is not None else ""
    return f"{images.encoding or 'unknown encoding'}, {size}{checked}"


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if unit != "bytes" else f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:,.3g} GB" if count < 1000 else f"{count:,.0f} GB"


def _date(time: int) -> str:
    """UTC, to the millisecond."""
    from datetime import datetime, timezone

    seconds, rest = divmod(time, 10**9)
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M:%S}.{rest // 10**6:03d} UTC"
