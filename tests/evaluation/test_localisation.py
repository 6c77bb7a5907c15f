"""Recall of the localisation alone: the input boxes, the numbers, and detectors that move boxes in
a known way."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from evaluation.test_detect import SIZES, dataset, settings  # noqa: F401  `dataset` is a fixture
from reference.detection import iou, random_boxes

from lhrcnn.config import PostprocessConfig
from lhrcnn.errors import ConfigError
from lhrcnn.evaluation import localisation
from lhrcnn.inference.tta import MergedViews


class FakeDetector:
    """Has no network; its head returns what a function makes of the boxes."""

    def __init__(self, move):
        self.move = move

    def regions(self, image, image_size):
        return image, None

    def localise(self, prepared, boxes, image_size):
        return self.move(boxes, image_size), tf.zeros([1])


def test_input_boxes_have_the_iou_asked_for(rng):
    boxes = np.clip(random_boxes(rng, 30), 0, [80, 90, 80, 90])
    boxes = boxes[(boxes[:, 2:] > boxes[:, :2] + 1).all(1)]

    def moved_boxes(boxes, levels=localisation.LEVELS):
        generator = np.random.default_rng(1)
        return localisation.moved_boxes(boxes, np.array([80.0, 90]), levels, generator)

    whole = moved_boxes(np.array([[0.0, 0, 80, 90]]), (0.5,))
    assert whole.shape == (1, 1, 4) and whole.min() >= 0
    moved = moved_boxes(boxes)
    assert moved.min() >= 0 and moved[..., 2].max() <= 80 and moved[..., 3].max() <= 90
    for box, row in zip(boxes, moved):
        ious = np.array([iou(box, other) for other in row])
        reached = np.abs(ious - localisation.LEVELS) < 2e-3
        assert reached.all() or box.min() == 0 or (box[2:] == [80, 90]).any()
    np.testing.assert_array_equal(moved, moved_boxes(boxes))


def test_a_detector_that_leaves_boxes_where_they_are(dataset):  # noqa: F811
    detector = FakeDetector(lambda boxes, size: boxes[:, :, None])
    table = localisation.localisation_recall(detector, dataset, settings(), levels=(0.4, 0.6, 0.9))
    for level, row in table.items():
        assert row["boxes"] == len(SIZES) and row["mean_iou"] == pytest.approx(level, abs=5e-3)
        assert (row["recall50"], row["recall70"]) == (float(level > 0.5), float(level > 0.7))
        assert row["AR"] == pytest.approx(2 * max(level - 0.5, 0), abs=1e-2)


def test_the_own_class_decides(dataset):  # noqa: F811
    """Class 1 of three finds the object, the others find nothing; a third of the objects is of
    class 1."""
    share = np.array([0.1, 0.2, 0.6, 0.7], np.float32)

    def move(boxes, size):
        exact = tf.tile(size, [1, 2])[:, None] * share + 0 * boxes
        return tf.stack([0 * boxes, exact, 0 * boxes], 2)

    table = localisation.localisation_recall(FakeDetector(move), dataset, settings(), levels=(0.5,))
    expected = sum(i % 3 == 1 for i in range(len(SIZES))) / len(SIZES)
    np.testing.assert_allclose(
        [table[0.5][name] for name in ("mean_iou", "recall50", "recall70", "AR")],
        expected,
        atol=1e-3,
    )


def test_recall_is_the_integral_over_thresholds(rng):
    ious = rng.uniform(0, 1, 50)
    thresholds = np.linspace(0.5, 1, 20001)
    integral = np.mean([(ious >= t).mean() for t in thresholds]) * 0.5
    assert localisation.recall(ious)["AR"] == pytest.approx(2 * integral, abs=1e-3)
    assert math.isnan(localisation.recall(ious[:0])["AR"])


def test_table_as_text():
    text = localisation.format_table({0.5: localisation.recall(np.array([0.5, 0.75, 0.9]))})
    assert text.splitlines()[1].split() == ["0.50", "3", "0.717", "1.000", "0.667", "0.433"]


def test_merged_views_are_refused_in_one_line(dataset):  # noqa: F811
    views = MergedViews(SimpleNamespace(postprocess=PostprocessConfig()), [1.0], True, 1)
    with pytest.raises(ConfigError, match="'test.flip'.*--set test.flip=false"):
        localisation.localisation_recall(views, dataset, settings("test.flip=true"))
