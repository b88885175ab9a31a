"""People, who they are and how they appear to feel, drawn on a copy of the image.

Each person gets a box and one panel in the colour of their track: a header, and a bar for each of
the top emotions. Panels are placed one after the other where they hide least (`place`).
"""

from __future__ import annotations

import math
import unicodedata
import zlib
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from caer_ros.perception.person import BoxKind, EmotionStatus, TrackState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from caer_ros.perception.person import Array, Person

    Image = NDArray[np.uint8]

Colour = tuple[int, int, int]
Size = tuple[int, int]
"""Width, height."""

# Okabe and Ito, "Color Universal Design" (2008), without black; neighbours in the list differ most.
PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (213, 94, 0),
    (0, 114, 178),
)
_UNTRACKED: Colour = (200, 200, 200)
_DARK: Colour = (18, 20, 24)
_WHITE: Colour = (255, 255, 255)
_GREY: Colour = (190, 190, 190)
_LUMA = (0.299, 0.587, 0.114)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_CAPITALS = 21
"""Height of this font's capitals in pixels at scale 1."""

_STATUS_WORDS = {
    EmotionStatus.NOT_PREDICTED: "-",
    EmotionStatus.UNCERTAIN: "uncertain",
    EmotionStatus.NO_FACE: "no face",
    EmotionStatus.TOO_SMALL: "face too small",
    EmotionStatus.PROFILE_OR_OCCLUDED: "profile or hidden",
}


class Rect(NamedTuple):
    """Whole pixels; x1 and y1 are excluded."""

    x0: int
    y0: int
    x1: int
    y1: int


class Request(NamedTuple):
    """A panel to be placed beside ``box``, in one of ``sizes``, largest and most wanted first."""

    box: Rect
    sizes: Sequence[Size]


def draw(image: Image, persons: Sequence[Person], labels: Sequence[str], *, top: int = 3) -> Image:
    """A new RGB image [H,W,3]: ``image`` with ``persons`` on it, each with up to ``top`` emotions.

    Bars show the smoothed scores; NaN has no bar, and a status that rests on no scores has none.
    Boxes of coasting tracks are dashed. Text grows with the image.

    Raises:
        ValueError: ``labels`` are not as many as a person's scores.
    """
    canvas = np.array(image, np.uint8, order="C")
    height, width = canvas.shape[:2]
    style = _Style.of(height, width)
    shown = []
    # Who has been seen longest chooses first, so that panels do not jump when detections change their order.
    for person in sorted(persons, key=lambda person: (-person.track_age, person.track_id)):
        box = _visible(person.box, width, height)
        if box is not None:
            shown.append((person, box, _Panel.of(person, labels, top)))

    columns = style.columns(panel for _, _, panel in shown)
    requests = [Request(box, style.sizes(panel, columns, (width, height))) for _, box, panel in shown]
    places = place(requests, [_head(person, box) for person, box, _ in shown], (width, height))

    for person, box, panel in shown:
        _draw_box(canvas, box, panel.colour, style, dashed=person.track_state == TrackState.COASTED)
        face = None if person.face_box is None else _visible(person.face_box, width, height)
        if face is not None:
            thin = max(1, style.line - 1)
            cv2.rectangle(canvas, (face.x0, face.y0), (face.x1 - 1, face.y1 - 1), panel.colour, thin)
    for (_, box, panel), at in zip(shown, places, strict=True):
        _draw_leader(canvas, at, box, panel.colour, style)
    for (_, _, panel), at in zip(shown, places, strict=True):
        _draw_panel(canvas[at.y0 : at.y1, at.x0 : at.x1], panel, columns, style)
    return canvas


# --- What is said about a person ---


class _Bar(NamedTuple):
    label: str
    score: float


class _Panel(NamedTuple):
    title: str
    bars: list[_Bar]
    colour: Colour
    certain: bool

    @classmethod
    def of(cls, person: Person, labels: Sequence[str], top: int) -> _Panel:
        """Title and bars; the title is short: the track's number and one word."""
        ranking = _ranking(person, labels)
        certain = person.status == EmotionStatus.OK and bool(ranking)
        word = ranking[0].label if certain else _STATUS_WORDS.get(person.status, "-")
        number = person.track_id.rpartition("-")[2]
        title = f"#{_ascii(number)} {word}" if number else word
        return cls(title, ranking[:top], track_colour(person.track_id), certain)


def track_colour(track_id: str) -> Colour:
    """RGB, the same for a track in every image; grey while untracked."""
    number = track_id.rpartition("-")[2]
    if not number:
        return _UNTRACKED
    index = int(number) if number.isdecimal() else zlib.crc32(number.encode())
    return PALETTE[index % len(PALETTE)]


def _ranking(person: Person, labels: Sequence[str]) -> list[_Bar]:
    if person.status not in (EmotionStatus.OK, EmotionStatus.UNCERTAIN):
        return []
    scores = person.smoothed_scores if person.smoothed_scores.size else person.scores
    if len(labels) != len(scores):
        raise ValueError(f"{len(labels)} labels but {len(scores)} scores; pass the labels of the bundle that predicted")
    bars = [_Bar(_ascii(label), float(score)) for label, score in zip(labels, scores, strict=True)]
    return sorted((bar for bar in bars if not math.isnan(bar.score)), key=lambda bar: -bar.score)


def _ascii(text: str) -> str:
    """OpenCV's fonts have nothing else; accents are dropped, other letters become "?"."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return plain.encode("ascii", "replace").decode()


# --- Sizes ---


class _Columns(NamedTuple):
    """Widths in pixels, common to all panels of an image so that bars can be compared."""

    label: int
    bar: int
    percent: int


class _Style(NamedTuple):
    """Every length in pixels follows from the height of capital letters."""

    capitals: int
    stroke: int
    line: int

    @classmethod
    def of(cls, height: int, width: int) -> _Style:
        # Slower than the image: a large image is looked at on a large screen.
        capitals = max(6, round(0.097 * min(height, width) ** 0.75))
        return cls(capitals, stroke=max(1, round(capitals / 10)), line=max(1, round(capitals / 6)))

    @property
    def scale(self) -> float:
        return self.capitals / _CAPITALS

    @property
    def pad(self) -> int:
        return round(0.7 * self.capitals)

    @property
    def header(self) -> int:
        return round(2.1 * self.capitals)

    @property
    def row(self) -> int:
        return round(1.75 * self.capitals)

    def text_width(self, text: str) -> int:
        return int(cv2.getTextSize(text, _FONT, self.scale, self.stroke)[0][0])

    def columns(self, panels: Iterable[_Panel]) -> _Columns:
        labels = [self.text_width(bar.label) for panel in panels for bar in panel.bars]
        return _Columns(max(labels, default=0), 5 * self.capitals, self.text_width("100%"))

    def sizes(self, panel: _Panel, columns: _Columns, image: Size) -> list[Size]:
        """Sizes of a panel with bars, and with its header only; never larger than the image."""
        title = self.text_width(panel.title) + 2 * self.pad
        sizes = [(title, self.header)]
        if panel.bars:
            width = max(title, sum(columns) + 4 * self.pad)
            sizes.insert(0, (width, self.header + len(panel.bars) * self.row + self.pad))
        return [(min(w, image[0]), min(h, image[1])) for w, h in sizes]


# --- Where panels go ---

# What a panel costs that touches other panels (more than all else together), hides a whole head,
# lies on other bodies or its own with all its area, is the largest panel's height away from its
# box, or is shown without bars.
_ON_PANEL, _ON_HEAD, _ON_OTHERS, _ON_OWN, _AWAY, _WITHOUT_BARS = 1e4, 30.0, 3.0, 0.5, 3.0, 6.0


def place(requests: Sequence[Request], heads: Sequence[Rect], image: Size) -> list[Rect]:
    """A rectangle for each request, in their order, within ``image`` (width, height).

    Greedy: one request after the other goes where it costs least, of places around its box, in its
    corners, and on grids over the image. No panels touch while the image has more than 4 (n - 1) cells of the
    size of the largest panel, because each panel touches at most four of them.
    """
    boxes = np.array([request.box for request in requests], float).reshape(-1, 4)
    obstacles = np.array(heads, float).reshape(-1, 4)
    placed = np.empty((0, 4))
    largest = [request.sizes[0] for request in requests] or [(1, 1)]
    cell = max(w for w, _ in largest), max(h for _, h in largest)
    for index, request in enumerate(requests):
        own, others = boxes[index : index + 1], np.delete(boxes, index, axis=0)
        candidates, costs = [], []
        for choice, size in enumerate(request.sizes):
            at = _candidates(request.box, size, cell, image)
            area = size[0] * size[1]
            on_panels = _overlaps(at, placed).sum(axis=1)
            costs.append(
                _ON_PANEL * ((on_panels > 0) + on_panels / area)
                + _ON_HEAD * (_overlaps(at, obstacles) / _areas(obstacles)).sum(axis=1)
                + _ON_OTHERS * _overlaps(at, others).sum(axis=1) / area
                + _ON_OWN * _overlaps(at, own).sum(axis=1) / area
                + _AWAY * _gaps(at, own[0]) / cell[1]
                + _WITHOUT_BARS * choice
            )
            candidates.append(at)
        best = np.concatenate(candidates)[np.argmin(np.concatenate(costs))]
        placed = np.vstack([placed, best])
    return [Rect(*(int(v) for v in rect)) for rect in placed]


def _candidates(box: Rect, size: Size, cell: Size, image: Size) -> NDArray[np.float64]:
    """[N,4], best first where nothing is in the way."""
    (w, h), (x0, y0, x1, y1) = size, box
    corners = [
        (x0, y0 - h),  # above
        (x1 - w, y0 - h),
        (x1, y0),  # beside
        (x0 - w, y0),
        (x1, y1 - h),
        (x0 - w, y1 - h),
        (x0, y1),  # below
        (x1 - w, y1),
        (x0, y1 - h),  # inside
        (x1 - w, y1 - h),
        (x0, y0),
        (x1 - w, y0),
    ]
    positions = corners + _grid(size, image) + (_grid(cell, image) if cell != size else [])
    at = np.clip(np.array(positions, float), 0, (image[0] - w, image[1] - h))
    return np.hstack([at, at + np.array(size)])


def _grid(cell: Size, image: Size) -> list[tuple[int, int]]:
    (w, h), (width, height) = cell, image
    return [(x, y) for y in range(0, height - h + 1, h) for x in range(0, width - w + 1, w)]


def _areas(rects: NDArray[np.float64]) -> NDArray[np.float64]:
    return (rects[:, 2] - rects[:, 0]) * (rects[:, 3] - rects[:, 1])


def _overlaps(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Common pixels [A,B] of each of a [A,4] and each of b [B,4]."""
    widths = np.minimum(a[:, None, 2], b[:, 2]) - np.maximum(a[:, None, 0], b[:, 0])
    heights = np.minimum(a[:, None, 3], b[:, 3]) - np.maximum(a[:, None, 1], b[:, 1])
    return np.asarray(np.maximum(widths, 0) * np.maximum(heights, 0))


def _gaps(a: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels [A] between each of a [A,4] and the box; 0 where they touch."""
    apart = np.maximum(a[:, :2] - box[2:], box[:2] - a[:, 2:])
    return np.asarray(np.hypot(*np.maximum(apart, 0).T))


def _visible(box: Array, width: int, height: int) -> Rect | None:
    """The part of a box that is inside the image; None where there is none, or the box is not finite."""
    if not np.isfinite(box).all():
        return None
    x0, y0, x1, y1 = (round(float(v)) for v in np.clip(box, 0, (width, height, width, height)))
    return Rect(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _head(person: Person, box: Rect) -> Rect:
    """What a panel should not hide: the face, or else where it would be."""
    if person.face_box is not None and np.isfinite(person.face_box).all():
        x0, y0, x1, y1 = person.face_box
        if x0 < x1 and y0 < y1:
            return Rect(math.floor(x0), math.floor(y0), math.ceil(x1), math.ceil(y1))
    if person.box_kind in (BoxKind.FACE, BoxKind.HEAD):
        return box
    w, h = box.x1 - box.x0, box.y1 - box.y0
    return Rect(box.x0 + w // 4, box.y0, box.x1 - w // 4, box.y0 + max(1, min(h // 3, w)))


# --- Strokes ---


def _draw_box(canvas: Image, box: Rect, colour: Colour, style: _Style, *, dashed: bool) -> None:
    """A coloured line with a dark edge, so that it shows on any background."""
    x0, y0, x1, y1 = box.x0, box.y0, box.x1 - 1, box.y1 - 1
    period, drawn = 2 * style.capitals, style.capitals
    for stroke_colour, thickness in ((_DARK, style.line + 2), (colour, style.line)):
        if not dashed:
            cv2.rectangle(canvas, (x0, y0), (x1, y1), stroke_colour, thickness)
            continue
        for x in range(x0, x1, period):
            end = min(x + drawn, x1)
            cv2.line(canvas, (x, y0), (end, y0), stroke_colour, thickness)
            cv2.line(canvas, (x, y1), (end, y1), stroke_colour, thickness)
        for y in range(y0, y1, period):
            end = min(y + drawn, y1)
            cv2.line(canvas, (x0, y), (x0, end), stroke_colour, thickness)
            cv2.line(canvas, (x1, y), (x1, end), stroke_colour, thickness)


def _draw_leader(canvas: Image, panel: Rect, box: Rect, colour: Colour, style: _Style) -> None:
    """A line from a panel that found no place beside its box."""
    if _gaps(np.array([panel], float), np.array(box, float))[0] <= style.pad:
        return
    ends = []
    for a, b in ((panel, box), (box, panel)):
        x = min(max((b.x0 + b.x1) // 2, a.x0), a.x1 - 1)
        y = min(max((b.y0 + b.y1) // 2, a.y0), a.y1 - 1)
        ends.append((x, y))
    cv2.line(canvas, ends[0], ends[1], _DARK, style.line + 2, cv2.LINE_AA)
    cv2.line(canvas, ends[0], ends[1], colour, style.line, cv2.LINE_AA)


def _draw_panel(view: Image, panel: _Panel, columns: _Columns, style: _Style) -> None:
    """Fill ``view``, a piece of the canvas, with a header and as many bars as it has room for."""
    height, width = view.shape[:2]
    _shade(view, _DARK, 0.78)
    view[: style.header] = panel.colour
    ink = _DARK if np.dot(panel.colour, _LUMA) > 140 else _WHITE
    _text(view, panel.title, style.pad, (style.header + style.capitals) // 2, ink, style)
    if height <= style.header:
        return
    bar_x = 2 * style.pad + columns.label
    for row, bar in enumerate(panel.bars):
        top = style.header + style.pad // 2 + row * style.row
        base = top + (style.row + style.capitals) // 2
        strong = row == 0 and panel.certain
        ink = _WHITE if strong else _GREY
        _text(view, bar.label, style.pad, base, ink, style)
        percent = f"{100 * bar.score:.0f}%"
        _text(view, percent, width - style.pad - style.text_width(percent), base, ink, style)
        trough = view[base - style.capitals : base + 1, bar_x : bar_x + columns.bar]
        _shade(trough, _WHITE, 0.15)
        filled = round(min(max(bar.score, 0.0), 1.0) * columns.bar)
        trough[:, :filled] = panel.colour


def _shade(view: Image, colour: Colour, opacity: float) -> None:
    cv2.addWeighted(view, 1 - opacity, np.full_like(view, colour), opacity, 0, dst=view)


def _text(view: Image, text: str, x: int, baseline: int, colour: Colour, style: _Style) -> None:
    cv2.putText(view, text, (x, baseline), _FONT, style.scale, colour, style.stroke, cv2.LINE_AA)
