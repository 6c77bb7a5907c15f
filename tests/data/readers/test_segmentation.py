"""Boxes of segmentations, against masks."""

import numpy as np
import pytest

from lhrcnn.data.readers.segmentation import _decoded, segmentation_box


def encoded(counts):
    """COCO's text of run lengths, after maskApi.c (rleToString)."""
    text = ""
    for i, value in enumerate(counts):
        value -= counts[i - 2] if i > 2 else 0
        more = True
        while more:
            bits, value = value & 0x1F, value >> 5
            more = value != -1 if bits & 0x10 else value != 0
            text += chr((bits | 0x20 if more else bits) + 48)
    return text


def runs(mask):
    """Run lengths down the columns, background first."""
    flat = np.concatenate([[0], mask.T.reshape(-1), [1 - mask[-1, -1]]])
    edges = np.flatnonzero(np.diff(flat))
    return np.diff(np.concatenate([[0], edges])).tolist()


@pytest.mark.parametrize("seed", range(8))
def test_run_lengths_have_the_box_of_their_mask(seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros((37, 53), int)
    top, left = rng.integers(0, 30), rng.integers(0, 45)
    mask[top : top + rng.integers(1, 8), left : left + rng.integers(1, 9)] = 1
    rows, columns = np.nonzero(mask)
    box = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
    counts = runs(mask)
    assert segmentation_box({"size": [37, 53], "counts": counts}) == box
    assert _decoded(encoded(counts)) == counts
    assert segmentation_box({"size": [37, 53], "counts": encoded(counts)}) == box


def test_nothing_has_no_box():
    assert segmentation_box(None) is segmentation_box([]) is None
    assert segmentation_box({"size": [4, 4], "counts": [16]}) is None
