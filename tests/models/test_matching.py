"""lhrcnn.models.matching against loops over boxes."""

import numpy as np
import pytest
import tensorflow as tf
from reference import detection as reference
from reference.detection import random_boxes

from lhrcnn.models import matching


@pytest.mark.parametrize("best_iou", [None, 0.0, 0.2])
def test_match_equals_the_reference(rng, best_iou):
    candidates = random_boxes(rng, 3, 60)
    boxes = random_boxes(rng, 3, 7)
    classes = rng.integers(-1, 4, (3, 7)).astype(np.int32)
    ignore = (rng.uniform(size=(3, 7)) < 0.2) & (classes >= 0)
    batch = {"boxes": boxes, "classes": classes, "ignore": ignore}
    found = matching.match(candidates, batch, 0.5, 0.3, best_iou=best_iou)
    for i in range(3):
        labels, matched = reference.match(
            candidates[i], boxes[i], classes[i], ignore[i], 0.5, 0.3, best_iou=best_iou
        )
        np.testing.assert_array_equal(found.labels[i], labels)
        foreground = labels == 1
        np.testing.assert_array_equal(found.matched_box[i].numpy()[foreground], matched[foreground])


def one_image(candidates, boxes, classes, ignore=None, **thresholds):
    ignore = [False] * len(boxes) if ignore is None else ignore
    options = {"foreground_iou": 0.7, "background_iou": 0.3, **thresholds}
    batch = {
        "boxes": tf.constant([boxes], tf.float32),
        "classes": tf.constant([classes]),
        "ignore": tf.constant([ignore]),
    }
    found = matching.match(tf.constant(candidates, tf.float32), batch, **options)
    return found.labels[0].numpy().tolist(), found.matched_box[0].numpy().tolist()


def test_best_anchor_of_a_small_truth_is_foreground_and_not_overwritten_by_background():
    labels, matched = one_image(
        [[0, 0, 100, 100], [200, 200, 300, 300]],
        [[0, 0, 10, 10], [0, 0, 0, 0]],
        [2, -1],
        best_iou=0.0,
    )
    assert labels == [matching.FOREGROUND, matching.BACKGROUND] and matched[0] == 0


def test_a_truth_no_anchor_touches_makes_no_foreground():
    labels, _ = one_image(
        [[0, 0, 10, 10], [20, 20, 30, 30]], [[500, 500, 600, 600]], [0], best_iou=0.0
    )
    assert labels == [matching.BACKGROUND] * 2


def test_ties_for_the_best_anchor_are_all_foreground():
    labels, _ = one_image(
        [[0, 0, 10, 10], [0, 10, 10, 20], [50, 50, 60, 60]], [[0, 5, 10, 15]], [0], best_iou=0.0
    )
    assert labels == [matching.FOREGROUND, matching.FOREGROUND, matching.BACKGROUND]


def test_forced_match_points_to_the_truth_that_forced_it():
    """The anchor overlaps truth 1 more, but is the best anchor of ground truth 0 only."""
    candidates = [[0, 0, 10, 10], [0, 0, 10, 20]]
    boxes = [[0, 0, 3, 3], [0, 0, 10, 20]]
    labels, matched = one_image(candidates, boxes, [0, 1], best_iou=0.0)
    assert labels == [1, 1] and matched == [0, 1]


def test_without_truth_all_is_background():
    labels, _ = one_image([[0, 0, 10, 10]], [[0, 0, 0, 0]], [-1], best_iou=0.0)
    assert labels == [matching.BACKGROUND]


def test_candidates_in_a_crowd_are_neither():
    labels, _ = one_image([[0, 0, 10, 10], [50, 50, 60, 60]], [[0, 0, 40, 40]], [1], [True])
    assert labels == [matching.NEITHER, matching.BACKGROUND]


def test_empty_and_nan_candidates_are_neither():
    labels, _ = one_image(
        [[5, 5, 5, 5], [float("nan")] * 4, [0, 0, float("inf"), 5]], [[0, 0, 40, 40]], [1]
    )
    assert labels == [matching.NEITHER] * 3


def test_sample_counts(rng):
    labels = np.stack(
        [np.repeat([1, 0, -1], [100, 200, 50]), np.repeat([1, 0, -1], [3, 300, 47])]
    ).astype(np.int32)
    index, valid = matching.sample(
        labels, 64, 0.25, rng.uniform(size=labels.shape).astype(np.float32)
    )
    assert index.shape == (2, 64) and valid.numpy().all()
    chosen = np.take_along_axis(labels, index.numpy(), 1)
    assert (chosen == 1).sum(1).tolist() == [16, 3] and (chosen == 0).sum(1).tolist() == [48, 61]
    assert all(len(set(row)) == 64 for row in index.numpy().tolist())


def test_sample_with_too_few_candidates(rng):
    labels = np.array([[1, -1, 0, -1], [-1, -1, -1, -1]], np.int32)
    index, valid = matching.sample(labels, 8, 0.5, rng.uniform(size=(2, 4)).astype(np.float32))
    assert index.shape == (2, 4)
    assert valid.numpy().sum(1).tolist() == [2, 0]
    assert sorted(index.numpy()[0][valid.numpy()[0]]) == [0, 2]


def test_every_background_candidate_is_equally_likely():
    labels = np.zeros((2000, 10), np.int32)
    order = tf.random.stateless_uniform([2000, 10], [1, 2])
    index, _ = matching.sample(labels, 3, 0.5, order)
    counts = np.bincount(index.numpy().ravel(), minlength=10)
    assert counts.min() > 500 and counts.max() < 700  # 600 expected, standard deviation 20


def test_hardest_takes_the_highest_losses_of_each_image():
    losses = tf.constant([[1.0, 5, 3, 9], [2.0, 2, 0, 0]])
    labels = tf.constant([[1, 0, 0, -1], [0, -1, -1, -1]])
    index, valid = matching.hardest(losses, labels, 2)
    assert index[0].numpy().tolist() == [1, 2] and valid[0].numpy().all()
    assert index[1, 0] == 0 and valid[1].numpy().tolist() == [True, False]


def test_hardest_of_fewer_candidates_than_asked():
    index, valid = matching.hardest(tf.constant([[1.0, 2.0]]), tf.constant([[0, 1]]), 256)
    assert index.shape == (1, 2) and valid.numpy().all()
