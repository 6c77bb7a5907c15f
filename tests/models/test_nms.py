"""lhrcnn.models.nms against the written-out algorithm, on the CPU path and on the one GPUs take."""

import numpy as np
import pytest
import tensorflow as tf
from reference import detection as reference
from reference.detection import random_boxes

from lhrcnn.models import nms


def detect(boxes, scores, iou_threshold, score_threshold, pre_nms, max_outputs, soft_sigma=0.0):
    """Boxes, scores, classes and numbers of the best pairs after NMS."""
    pairs = nms.best_pairs(tf.convert_to_tensor(boxes), scores, score_threshold, pre_nms)
    kept = nms.within_classes(pairs, iou_threshold, max_outputs, score_threshold, soft_sigma)
    return (*kept, tf.reduce_sum(tf.cast(kept.classes >= 0, tf.int32), 1))


@pytest.fixture(params=["cpu", "gpu"])
def device_path(request, monkeypatch):
    monkeypatch.setattr(nms, "on_gpu", lambda: request.param == "gpu")


def test_proposals_equal_the_reference(rng, device_path):
    boxes = random_boxes(rng, 2, 80)
    scores = -np.sort(-rng.uniform(0.01, 1, (2, 80)).astype(np.float32))
    kept_boxes, kept_scores = nms.class_agnostic_nms(boxes, scores, 0.4, 30)
    for i in range(2):
        kept = reference.nms(boxes[i], scores[i], 0.4, 30)
        assert np.count_nonzero(kept_scores[i]) == len(kept)
        np.testing.assert_array_equal(kept_boxes[i][: len(kept)], boxes[i][kept])
        np.testing.assert_array_equal(kept_scores[i][: len(kept)], scores[i][kept])
        assert not kept_boxes[i][len(kept) :].numpy().any()


def test_proposals_drop_zero_and_nan_scores(device_path):
    boxes = tf.constant([[[0.0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 50, 50]]])
    kept, scores = nms.class_agnostic_nms(boxes, tf.constant([[0.0, float("nan"), 0.5]]), 0.7, 5)
    assert scores.numpy().tolist() == [[0.5, 0, 0, 0, 0]]
    np.testing.assert_array_equal(kept[0, 0], [40, 40, 50, 50])


def test_proposals_of_equal_scores_keep_their_order(rng, device_path):
    boxes = random_boxes(rng, 2, 300)
    for levels in (1, 4):  # of scores
        scores = -np.sort(-rng.integers(1, levels + 1, (2, 300)).astype(np.float32) / levels)
        scores[:, ::7] = 0
        kept_boxes, kept_scores = nms.class_agnostic_nms(boxes, scores, 0.3, 20)
        for i in range(2):
            kept = reference.nms(boxes[i], scores[i], 0.3, 20)
            np.testing.assert_array_equal(kept_boxes[i], boxes[i][kept])
            np.testing.assert_array_equal(kept_scores[i], scores[i][kept])


@pytest.mark.parametrize("soft_sigma", [0.0, 0.5])
def test_detections_of_equal_scores_keep_their_order(soft_sigma):
    places = np.arange(60, dtype=np.float32)[:, None] * 10  # apart from each other
    boxes = np.concatenate([places, places, places + 5, places + 5], -1)[None, :, None]
    scores = np.full((1, 60, 2), 0.5, np.float32)
    kept, _, classes, _ = detect(boxes, scores, 0.5, 0.1, 40, 31, soft_sigma)
    assert kept[0, :, 0].numpy().tolist() == [place // 2 * 10 for place in range(31)]
    assert classes[0].numpy().tolist() == [place % 2 for place in range(31)]


@pytest.mark.parametrize("shared", [False, True])
def test_detections_equal_nms_within_each_class(rng, shared):
    boxes = random_boxes(rng, 2, 40, 1 if shared else 3)
    scores = rng.uniform(0, 1, (2, 40, 3)).astype(np.float32)
    kept_boxes, kept_scores, classes, number = detect(boxes, scores, 0.5, 0.3, 1000, 50)
    for i in range(2):
        expected = []
        for k in range(3):
            own = boxes[i, :, 0 if shared else k]
            confident = np.where(scores[i, :, k] >= 0.3, scores[i, :, k], 0)
            expected += [
                (scores[i, j, k], k, own[j]) for j in reference.nms(own, confident, 0.5, 1000)
            ]
        expected = sorted(expected, key=lambda item: -item[0])[:50]
        assert number[i] == len(expected)
        np.testing.assert_allclose(
            kept_scores[i][: len(expected)], [e[0] for e in expected], rtol=1e-6
        )
        assert classes[i][: len(expected)].numpy().tolist() == [e[1] for e in expected]
        np.testing.assert_array_equal(kept_boxes[i][: len(expected)], [e[2] for e in expected])
        assert (classes[i][len(expected) :] == -1).numpy().all()


def test_detections_with_fewer_pairs_than_any_limit():
    boxes, scores = tf.constant([[[[0.0, 0, 5, 5]]]]), tf.constant([[[0.9]]])
    kept, _, classes, number = detect(boxes, scores, 0.5, 0.05, 1000, 100)
    assert kept.shape == (1, 100, 4) and number[0] == 1 and classes[0, 0] == 0


def test_detections_of_no_proposals_and_of_no_images():
    assert detect(tf.zeros([2, 0, 1, 4]), tf.zeros([2, 0, 3]), 0.5, 0.05, 10, 5)[
        3
    ].numpy().tolist() == [0, 0]
    assert detect(tf.zeros([0, 4, 1, 4]), tf.zeros([0, 4, 3]), 0.5, 0.05, 10, 5)[0].shape == (
        0,
        5,
        4,
    )


def test_nan_scores_and_boxes_never_survive():
    nan = float("nan")
    boxes = tf.constant([[[[0.0, 0, 5, 5]], [[nan, 0, 5, 5]], [[20.0, 20, 30, 30]]]])
    scores = tf.constant([[[nan, 0.2], [0.9, 0.9], [0.8, nan]]])
    kept, kept_scores, classes, number = detect(boxes, scores, 0.5, 0.05, 10, 5)
    assert number[0] == 2 and np.isfinite(kept).all()
    np.testing.assert_allclose(kept_scores[0, :2], [0.8, 0.2])
    assert classes[0, :2].numpy().tolist() == [0, 1]


def test_top_k_is_limited_to_what_there_is():
    scores, index = nms.top_k(tf.constant([[1.0, 3, 2]]), 6000, tf.constant([[10, 30, 20]]))
    assert scores.numpy().tolist() == [[3, 2, 1]] and index.numpy().tolist() == [[30, 20, 10]]


def test_soft_nms_equals_the_papers_loop(rng):
    boxes = random_boxes(rng, 1, 25, 1, size=40.0)
    scores = rng.uniform(0.1, 1, (1, 25, 2)).astype(np.float32)
    kept_boxes, kept_scores, classes, number = detect(
        boxes, scores, 0.5, 0.3, 1000, 100, soft_sigma=0.5
    )
    expected = []
    for k in range(2):
        left = {j: float(scores[0, j, k]) for j in range(25)}
        while left:
            best = max(left, key=left.get)
            score = left.pop(best)
            if score > 0.3:
                expected.append((score, k, boxes[0, best, 0]))
            left = {
                j: s * np.exp(-(reference.iou(boxes[0, best, 0], boxes[0, j, 0]) ** 2) / 0.5)
                for j, s in left.items()
            }
    expected = sorted(expected, key=lambda item: -item[0])
    assert number[0] == len(expected) < 50
    np.testing.assert_allclose(kept_scores[0, : len(expected)], [e[0] for e in expected], rtol=1e-4)
    assert classes[0, : len(expected)].numpy().tolist() == [e[1] for e in expected]
    np.testing.assert_allclose(kept_boxes[0, : len(expected)], [e[2] for e in expected], atol=1e-5)
