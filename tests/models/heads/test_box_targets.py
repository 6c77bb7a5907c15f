"""Normalised box targets: fixed, measured, and against the written-out means and deviations."""

import numpy as np
import pytest
import tensorflow as tf
from reference import detection as reference

from lhrcnn import config as configs
from lhrcnn.data.proposals import Proposals
from lhrcnn.data.schema import Dataset, Record
from lhrcnn.models.heads import box_targets
from lhrcnn.models.heads.box_targets import BoxTargets

STD = [0.1, 0.1, 0.2, 0.2]


def random_boxes(rng, number):
    corner = rng.uniform(0, 50, (number, 2))
    return np.concatenate([corner, corner + rng.uniform(8, 40, (number, 2))], 1).astype(np.float32)


def record_of(image_id, boxes, classes, ignore):
    return Record(
        image_id,
        f"{image_id}.png",
        100,
        100,
        boxes,
        np.array(classes, np.int32),
        np.array(ignore, bool),
        np.ones(len(boxes), np.float32),
    )


@pytest.fixture
def dataset(rng):
    """Three images; class 1 has objects in plenty, class 0 one without a proposal, class 2 an
    ignored one alone."""
    records, rows = [], []
    for image_id, classes, ignore in (
        (7, [1, 1, 2], [False, False, True]),
        (3, [], []),
        (5, [1, 0], [False, False]),
    ):
        boxes = random_boxes(rng, len(classes))
        records.append(record_of(image_id, boxes, classes, ignore))
        moved = [
            box + rng.normal(0, 2, 4)
            for box, k in zip(boxes, classes)
            for _ in range(12 if k else 0)
        ]
        rows.append(
            np.concatenate(
                [np.reshape(moved, [-1, 4]), random_boxes(rng, 40 - len(moved)), np.zeros([2, 4])]
            )
        )
    proposals = Proposals(np.array(rows, np.float32), {7: 0, 3: 1, 5: 2}, "")
    return Dataset("tiny", records, ["a", "b", "c"], [1, 2, 3], proposals=proposals)


def written_out(dataset, agnostic):
    """{class: targets [n, 4]} of every proposal and ground truth with IoU .5 or more."""
    targets = {}
    for record in dataset.records:
        truth = [
            (box, k)
            for box, k, ignored in zip(record.boxes, record.classes, record.ignore)
            if not ignored
        ]
        for candidate in [
            *dataset.proposals.boxes[dataset.proposals.rows[record.image_id]],
            *(box for box, _ in truth),
        ]:
            iou, best = max(
                [(reference.iou(candidate, box), i) for i, (box, _) in enumerate(truth)],
                default=(0, 0),
            )
            if iou >= 0.5:
                targets.setdefault(0 if agnostic else int(truth[best][1]), []).append(
                    reference.encode(truth[best][0], candidate)
                )
    return targets


@pytest.mark.parametrize("agnostic", [False, True])
def test_measured_equals_the_written_out(dataset, agnostic):
    targets = BoxTargets(configs.HeadConfig(target_statistics="measured"), 1 if agnostic else 3)
    counts = box_targets.measure(dataset, targets, 0.5)
    expected = written_out(dataset, agnostic)
    assert counts.tolist() == [len(expected.get(k, [])) for k in range(len(counts))]
    mean, std = targets.mean.numpy().reshape(-1, 4), targets.std.numpy().reshape(-1, 4)
    for k, count in enumerate(counts):
        if count >= box_targets.LEAST_BOXES:
            np.testing.assert_allclose(mean[k], np.mean(expected[k], 0), atol=1e-5)
            np.testing.assert_allclose(std[k], np.std(expected[k], 0), rtol=1e-3)
        else:
            np.testing.assert_array_equal([mean[k], std[k]], np.float32([[0] * 4, STD]))
    assert max(counts) >= 30 and (agnostic or min(counts) == 0)


def test_fixed_targets_are_of_the_same_mean_and_deviation_for_all_classes(rng):
    targets = BoxTargets(configs.HeadConfig(), 3)
    assert not targets.weights
    boxes, proposals = random_boxes(rng, 30), random_boxes(rng, 30)
    deltas = targets.encode(boxes, proposals, tf.constant([0, 1, 2] * 10))
    np.testing.assert_allclose(
        deltas,
        [np.divide(reference.encode(b, p), STD) for b, p in zip(boxes, proposals)],
        rtol=1e-3,
        atol=1e-4,
    )


def test_decoding_inverts_encoding(rng):
    targets = BoxTargets(configs.HeadConfig(target_statistics="measured"), 3)
    targets.mean.assign(rng.normal(size=12))
    targets.std.assign(rng.uniform(0.05, 0.5, 12))
    boxes, proposals, index = (
        random_boxes(rng, 30),
        random_boxes(rng, 30),
        tf.constant([0, 1, 2] * 10),
    )
    deltas = targets.encode(boxes, proposals, index)
    np.testing.assert_allclose(
        targets.decode(deltas, proposals, index), boxes, rtol=1e-4, atol=1e-3
    )
    of_each = targets.decode(tf.repeat(deltas[:, None], 3, 1), proposals[:, None])  # [30, L, 4]
    np.testing.assert_allclose(tf.gather(of_each, index, batch_dims=1), boxes, rtol=1e-4, atol=1e-3)


def test_deviations_have_a_floor(rng):
    boxes = random_boxes(rng, 12)
    dataset = Dataset(
        "exact",
        [record_of(1, boxes, [0] * 12, [False] * 12)],
        ["a"],
        [1],
        proposals=Proposals(boxes[None], {1: 0}, ""),
    )
    targets = BoxTargets(configs.HeadConfig(target_statistics="measured"), 1)
    assert box_targets.measure(dataset, targets, 0.5) == [24]
    np.testing.assert_allclose(
        targets.std, np.multiply(box_targets.LEAST_DEVIATION, STD), rtol=1e-5
    )
