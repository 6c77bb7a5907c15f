"""Rounds of localisation and box voting against the written-out loop, and inside the detector."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from reference import voting as reference
from reference.detection import random_boxes

from lhrcnn import config as configs
from lhrcnn.models import nms, postprocess
from lhrcnn.models.build import build_detector

NUM_CLASSES = 3
TARGETS = np.array([[10, 10, 40, 40], [60, 20, 90, 70], [20, 60, 50, 95]], np.float32)


def detections(boxes, scores, localise, options):
    return postprocess.select(postprocess.candidates(boxes, scores, localise, options), options)


def localise(boxes, agnostic=False):
    """A localiser [B, C, 4] -> boxes [B, C, L, 4], scores [B, C, K]: each class moves boxes half
    the way to its target, and scores by distance."""
    targets = tf.constant(TARGETS[:1] if agnostic else TARGETS)
    moved = (boxes[:, :, None, :] + targets) / 2
    return moved, tf.exp(-tf.reduce_mean(tf.abs(boxes[:, :, None, :] - TARGETS), -1) / 40)


def localise_list(boxes, agnostic):
    moved, scores = localise(tf.constant([np.array(boxes, np.float32)]), agnostic)
    return [
        (
            {k: moved[0, i, 0 if agnostic else k].numpy().tolist() for k in range(NUM_CLASSES)},
            dict(enumerate(scores[0, i].numpy().tolist())),
        )
        for i in range(len(boxes))
    ]


OPTIONS = {
    "plain": {},
    "voting": {"vote_iou": 0.5},
    "refinement": {"rounds": 2, "nms_iou": 0.3, "vote_iou": 0.5, "prune_iou": 1.0},
    "four rounds": {
        "rounds": 4,
        "nms_iou": 0.3,
        "vote_iou": 0.5,
        "vote_offset": -0.3,
        "candidates": 9,
    },
    "threshold": {"rounds": 3, "score_threshold": 0.45},
}


@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize("name", OPTIONS)
def test_equals_the_written_out_rounds(rng, name, agnostic):
    options = configs.PostprocessConfig(**{"max_detections": 8, "pre_nms": 40, **OPTIONS[name]})
    proposals = random_boxes(rng, 2, 15)
    first = localise(tf.constant(proposals), agnostic)
    found = tf.function(
        lambda *first: detections(*first, lambda boxes: localise(boxes, agnostic), options)
    )(*first)
    assert found.boxes.shape == (2, 8, 4)
    for i in range(2):
        expected = reference.detect(
            localise_list(proposals[i], agnostic),
            lambda boxes: localise_list(boxes, agnostic),
            options,
        )
        number = len(expected)
        assert (found.classes[i].numpy() >= 0).sum() == number > 2
        np.testing.assert_allclose(
            found.scores[i, :number], [score for score, _, _ in expected], rtol=1e-5
        )
        assert found.classes[i, :number].numpy().tolist() == [k for _, k, _ in expected]
        np.testing.assert_allclose(
            found.boxes[i, :number], [box for _, _, box in expected], rtol=1e-4, atol=1e-3
        )


def test_a_vote_is_the_weighted_mean_of_the_same_class():
    found = nms.Candidates(
        tf.constant([[[0.0, 0, 10, 10], [0, 0, 0, 0]]]),
        tf.constant([[0.6, 0.0]]),
        tf.constant([[1, -1]]),
    )
    pool = nms.Candidates(
        tf.constant(
            [[[0.0, 0, 10, 10], [0, 0, 10, 13], [0, 0, 10, 11], [0, 0, 10, 30], [0, 0, 10, 12]]]
        ),
        tf.constant([[0.6, 0.3, 0.9, 0.9, 0.0]]),
        tf.constant([[1, 1, 0, 1, 1]]),
    )
    voted = postprocess.vote(found, pool, 0.5)
    np.testing.assert_allclose(voted.boxes, [[[0, 0, 10, 11], [0, 0, 0, 0]]], rtol=1e-5)
    np.testing.assert_array_equal(voted.scores, found.scores)
    np.testing.assert_allclose(
        postprocess.vote(found, pool, 0.5, offset=-0.3).boxes[0, 0], [0, 0, 10, 10], atol=1e-4
    )
    np.testing.assert_allclose(
        postprocess.vote(found, pool, 0.5, offset=-5.0).boxes[0, 0], [0, 0, 10, 11.5], rtol=1e-5
    )  # all weigh the same


def test_a_mean_of_boxes_at_the_border_stays_there(rng):
    boxes = np.tile(np.float32([1.1, 1.1, 64.1, 64.1]), (40, 60, 1))
    pool = nms.Candidates(
        tf.constant(boxes),
        tf.constant(rng.uniform(0.1, 1, [40, 60]).astype(np.float32)),
        tf.zeros([40, 60], tf.int32),
    )
    voted = postprocess.vote(
        nms.Candidates(*(value[:, :9] for value in pool)), pool, 0.5
    ).boxes.numpy()
    np.testing.assert_allclose(voted, boxes[:, :9], rtol=1e-5)
    assert (voted <= boxes[:, :9]).all()


def test_boxes_and_scores_that_are_not_finite_never_count():
    nan = float("nan")

    def spoilt(boxes):
        boxes, scores = localise(boxes)
        return tf.concat([boxes[:, :1] * nan, boxes[:, 1:]], 1), tf.concat(
            [scores[:, :2], scores[:, 2:] * nan], 1
        )

    options = configs.PostprocessConfig(max_detections=8, rounds=3, vote_iou=0.1)
    found = detections(
        *spoilt(tf.constant([[[10.0, 10, 30, 30], [50, 20, 80, 70], [20, 60, 50, 90]]])),
        spoilt,
        options,
    )
    assert (
        np.isfinite(found.boxes).all()
        and np.isfinite(found.scores).all()
        and (found.classes.numpy() >= 0).any()
    )


@pytest.mark.parametrize("number", [0, 1])
def test_without_candidates_there_are_no_detections(number):
    options = configs.PostprocessConfig(max_detections=5, rounds=3, vote_iou=0.5)
    first = tf.zeros([2, number, NUM_CLASSES, 4]), tf.zeros([2, number, NUM_CLASSES])
    found = detections(*first, localise, options)
    assert (found.classes == -1).numpy().all() and not found.boxes.numpy().any()


@pytest.mark.parametrize("localisation", ["box", "in_out"])
def test_a_detector_goes_several_rounds(small_config, random_batch, localisation):
    """Box refinement of the same weights: other boxes than one round's, of the same shape, inside
    the image."""
    config, batch = (
        small_config(
            f"model.head.localisation={localisation}",
            "model.locnet.channels=8",
            "model.locnet.pool_size=4",
        ),
        random_batch(2),
    )
    detector = build_detector(config, NUM_CLASSES)
    once = detector.detect(batch["image"], batch["image_size"])
    detector.postprocess = dataclasses.replace(
        config.model.postprocess, rounds=2, candidates=20, nms_iou=0.3, vote_iou=0.5
    )
    twice = detector.detect(batch["image"], batch["image_size"])
    assert {name: value.shape for name, value in once.items()} == {
        name: value.shape for name, value in twice.items()
    }
    assert np.abs(once["boxes"] - twice["boxes"]).max() > 0.01
    assert twice["boxes"].numpy().min() >= 0 and twice["boxes"].numpy().max() <= 64
