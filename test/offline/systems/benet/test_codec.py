"""The network's own numbers are compared in ``test_network.py``."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from caer_ros.offline.systems.benet import codec
from caer_ros.offline.systems.benet.network import BenetMaps

HEIGHT, WIDTH = 64, 96  # of the input


def maps_of(boxes, emotions=None):
    """What a perfect network answers: the targets, with emotions everywhere alike around each centre."""
    found = {"emotion_maps": [], "heatmaps": [], "sizes": []}
    for stride in (4, 2):
        height, width = HEIGHT // stride, WIDTH // stride
        targets = codec.encode(boxes / stride, height, width)
        sizes = torch.zeros(1, 2, height, width)
        emotion = torch.zeros(1, 1, height, width)
        rows, columns = np.mgrid[:height, :width]
        if len(boxes):
            distance = np.stack([np.hypot(rows - row, columns - column) for column, row in targets.centres])
            nearest = distance.argmin(0)
            sizes[0] = torch.from_numpy(targets.sizes[nearest]).permute(2, 0, 1)
            emotion[0, 0] = torch.from_numpy(nearest.astype(np.float32))
        found["heatmaps"].append(torch.logit(torch.from_numpy(targets.heatmap)[None, None], eps=1e-4))
        found["sizes"].append(sizes)
        found["emotion_maps"].append(emotion)
    return BenetMaps(**found)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_there_and_back(data):
    """Decoding the targets of persons that stand apart gives their boxes, to about the coarser map's pixel."""
    boxes = []
    for x in range(0, WIDTH, 48):
        for y in range(0, HEIGHT, 32):
            if data.draw(st.booleans()):
                middle = x + data.draw(st.integers(18, 30)), y + data.draw(st.integers(12, 20))
                width, height = data.draw(st.integers(16, 80)) / 2, data.draw(st.integers(16, 60)) / 2
                left, top = middle[0] - width / 2, middle[1] - height / 2
                boxes.append([left, top, left + width, top + height])
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    decoded, scores, emotions = codec.decode(codec.merge(maps_of(boxes)))
    likely = scores[0] > 0.5
    assert int(likely.sum()) == len(boxes)
    centres = (decoded[0, likely, :2] + decoded[0, likely, 2:]).numpy() / 2
    for index, box in enumerate(boxes):
        off = np.abs(centres - (box[:2] + box[2:]) / 2).max(1)
        twin = int(off.argmin())
        assert off[twin] <= 4
        found = decoded[0, likely][twin]
        np.testing.assert_allclose(found[2:] - found[:2], box[2:] - box[:2], rtol=1e-4)
        assert emotions[0, likely][twin, 0] == pytest.approx(1 / (1 + np.exp(-index)), abs=1e-4)


@given(st.lists(st.tuples(*[st.integers(0, 120)] * 2, *[st.integers(4, 90)] * 2), max_size=4))
@settings(max_examples=60, deadline=None)
def test_the_targets_in_words(people):
    """A Gaussian of sigma 2 in a square of 15 pixels around the whole pixel of the centre; sizes height first."""
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h in people], np.float32).reshape(-1, 4) / 4
    targets = codec.encode(boxes, 32, 40)
    rows, columns = np.mgrid[:32, :40]
    expected = np.zeros((32, 40))
    for (left, top, right, bottom), centre, size in zip(boxes, targets.centres, targets.sizes, strict=True):
        column, row = min(int((left + right) / 2), 39), min(int((top + bottom) / 2), 31)
        near = (abs(columns - column) <= 7) & (abs(rows - row) <= 7)
        drawn = np.exp(-((columns - column) ** 2 + (rows - row) ** 2) / 8)
        expected = np.maximum(expected, np.where(near, drawn, 0))
        np.testing.assert_array_equal(centre, [column, row])
        np.testing.assert_allclose(size, [bottom - top, right - left])
    np.testing.assert_allclose(targets.heatmap, expected, atol=1e-6)
    assert not targets.ignore.any()


def test_what_is_not_known_is_ignored():
    person, crowd = np.array([[2, 2, 6, 8.0]]), np.array([[5.5, 6.5, 12.2, 10]])
    assert codec.encode(person, 16, 16, ignore=crowd).ignore.sum() == 8 * 4
    incomplete = codec.encode(person, 16, 16, exhaustive=False).ignore
    assert incomplete.sum() == 16 * 16 - 24


def test_resolutions_are_means_of_probabilities_and_of_sizes_in_one_unit():
    coarse, fine = torch.full((1, 1, 4, 4), 3.0), torch.full((1, 1, 8, 8), -2.0)
    sizes = [torch.full((1, 2, 4, 4), 5.0), torch.full((1, 2, 8, 8), 14.0)]
    merged = codec.merge(BenetMaps([coarse, fine], [coarse, fine], sizes))
    mean = (1 / (1 + np.exp(-3)) + 1 / (1 + np.exp(2))) / 2
    np.testing.assert_allclose(merged.heatmap, mean, rtol=1e-6)
    np.testing.assert_allclose(merged.emotion_maps, mean, rtol=1e-6)
    np.testing.assert_allclose(merged.sizes, 12)
    without = codec.merge(BenetMaps([coarse, fine], None, None))
    assert without.heatmap is None
    with pytest.raises(ValueError, match="no persons"):
        codec.decode(without)


def test_a_mirrored_image_is_mirrored_back():
    torch.manual_seed(0)
    maps = codec.Maps(torch.rand(1, 2, 4, 6), torch.rand(1, 1, 4, 6), torch.rand(1, 2, 4, 6))
    same = codec.merge_flipped(maps, codec.Maps(*(value.flip(3) for value in maps)))
    for one, other in zip(same, maps, strict=True):
        torch.testing.assert_close(one, other)
    assert codec.merge_flipped(maps._replace(heatmap=None), maps).heatmap is None


def one_peak(column, row, right, below, sizes=(8.0, 4.0)):
    """Maps at half of 32x32 pixels, with a peak whose neighbours at the right and below are given."""
    heatmap = torch.full((1, 1, 16, 16), 0.2)
    heatmap[0, 0, row, column] = 0.9
    heatmap[0, 0, row, column + 1], heatmap[0, 0, row + 1, column] = right, below
    return codec.Maps(torch.rand(1, 3, 16, 16), heatmap, torch.tensor(sizes).reshape(1, 2, 1, 1).expand(1, 2, 16, 16))


def test_one_person_by_hand():
    """The higher neighbour draws the centre by a quarter of a pixel."""
    boxes, scores, _ = codec.decode(one_peak(5, 7, right=0.6, below=0.1), 1)
    # Of the two pixels of the input in the middle of column 5, the right one (11) is higher, as its neighbour is; of
    # row 7's, the upper one (14). There the pixel to the left, 10, is higher than 12, and 15 higher than 13.
    heatmap = F.interpolate(one_peak(5, 7, 0.6, 0.1).heatmap, scale_factor=2, mode="bilinear")[0, 0]
    assert divmod(int(heatmap.argmax()), 32) == (14, 11)
    assert heatmap[14, 10] > heatmap[14, 12]
    assert heatmap[15, 11] > heatmap[13, 11]
    x, y = 11 + 0.5 - 0.25, 14 + 0.5 + 0.25
    np.testing.assert_allclose(boxes[0, 0], [x - 4, y - 8, x + 4, y + 8])
    assert scores[0, 0] == heatmap[14, 11]
    whole = codec.decode(one_peak(5, 7, 0.6, 0.1), 1, whole_pixels=True).boxes
    np.testing.assert_allclose(whole[0, 0], [11 - 4, 14 - 8, 11 + 4, 14 + 8])


def test_persons_come_best_first_and_slots_without_a_peak_are_empty():
    heatmap = torch.arange(16 * 16.0).reshape(1, 1, 16, 16) / 1000
    maps = codec.Maps(torch.rand(1, 3, 16, 16), heatmap, torch.full((1, 2, 16, 16), -3.0))
    boxes, scores, emotions = codec.decode(maps, 6)
    assert scores[0, 0] == heatmap.max()
    assert (scores[0, 1:] == 0).all()
    assert boxes.isfinite().all()
    assert emotions.shape == (1, 6, 3)
    torch.testing.assert_close(boxes[..., :2], boxes[..., 2:])  # negative sizes count as 0


def test_two_persons_need_five_pixels_of_the_input_between_them():
    heatmap = torch.zeros(1, 1, 16, 16)
    # Neighbours above and to the left keep a peak from being four equal pixels of the input.
    for column, value in ((4, 0.9), (5, 0.8), (9, 0.7)):
        heatmap[0, 0, 4, column] = value
        heatmap[0, 0, 3, column] = heatmap[0, 0, 4, column - 1] = max(value / 2, heatmap[0, 0, 4, column - 1])
    scores = codec.decode(codec.Maps(heatmap, heatmap, torch.ones(1, 2, 16, 16)), 4).scores[0]
    assert (scores > 0.3).sum() == 2


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_reading_is_upsampling_and_gathering(height, width, seed):
    generator = torch.Generator().manual_seed(seed)
    maps = torch.rand(2, 3, height, width, generator=generator, dtype=torch.float64)
    rows, columns = torch.meshgrid(torch.arange(2 * height), torch.arange(2 * width), indexing="ij")
    rows, columns = rows.flatten().expand(2, -1), columns.flatten().expand(2, -1)
    read = codec.read_doubled(maps, columns, rows)
    expected = F.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(read, expected.flatten(2).transpose(1, 2), rtol=1e-12, atol=1e-12)


def test_reading_at_the_decoded_boxes_gives_the_decoded_emotions():
    torch.manual_seed(0)
    maps = codec.Maps(torch.rand(2, 4, 16, 24), torch.rand(2, 1, 16, 24), 20 * torch.rand(2, 2, 16, 24))
    boxes, _, emotions = codec.decode(maps, 15)
    torch.testing.assert_close(codec.read_at_boxes(maps.emotion_maps, boxes), emotions)
    beyond = torch.tensor([[[-50.0, -50, -40, -40], [900, 900, 950, 950]]]).expand(2, -1, -1)
    edge = codec.read_at_boxes(maps.emotion_maps, beyond)
    torch.testing.assert_close(edge[:, 0], maps.emotion_maps[:, :, 0, 0])
    torch.testing.assert_close(edge[:, 1], maps.emotion_maps[:, :, -1, -1])
