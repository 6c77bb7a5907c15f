"""ILSVRC's average precision against the written-out count, and hand-made cases."""

import dataclasses
import math

import numpy as np
import pytest
from evaluation.metrics.test_coco import random_dataset, random_detections, single
from evaluation.metrics.test_voc import BOX, DIFFICULT, FAR, ONE, make
from reference import ilsvrc_ap

from lhrcnn.config import EvalConfig
from lhrcnn.data.schema import Dataset
from lhrcnn.evaluation import detections, scoring
from lhrcnn.evaluation.metrics import imagenet_det, voc


@pytest.mark.parametrize("seed", range(16))
def test_equals_the_written_out_count(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    dataset = random_dataset(rng, rng.integers(1, 30), rng.integers(1, 6))
    records = [
        dataclasses.replace(
            record,
            boxes=record.boxes * rng.choice([0.05, 0.3, 1.0]),
            unlabelled=tuple(np.flatnonzero(rng.random(dataset.num_classes) < 0.1).tolist()),
        )
        for record in dataset.records
    ]
    dataset = dataclasses.replace(dataset, records=records)
    found = random_detections(rng, dataset, num_false=int(rng.integers(1, 200)))
    monkeypatch.setattr(imagenet_det, "_CHUNK", int(rng.choice([7, 10**6])))
    metrics = imagenet_det.ilsvrc_metrics(dataset, found)
    rows = list(zip(found.image_ids, found.boxes.astype(np.float64), found.scores, found.classes))
    expected = [ilsvrc_ap.class_ap(records, rows, k) for k in range(dataset.num_classes)]
    np.testing.assert_allclose(list(metrics["per_class"].values()), expected, atol=1e-12)
    np.testing.assert_allclose(
        metrics["mAP"], np.nanmean(expected) if not np.isnan(expected).all() else math.nan
    )


FIRST, SECOND, BETWEEN = (0, 0, 100, 100), (0, 40, 100, 140), (0, 15, 100, 115)
# The kit's readme: 10 x 10 px inside 20 x 20, IoU and threshold 0.25.
SMALL, LARGER = (20, 20, 30, 30), (15, 15, 35, 35)
RIVALS = [(FIRST, 0, False), (SECOND, 0, False)]


@pytest.mark.parametrize(
    "truth, found, expected",
    [
        ([ONE], [(BOX, 0.9, 0)], 1.0),
        ([ONE], [(BOX, 0.9, 1)], 0.0),
        ([ONE, (FAR, 0, False)], [(BOX, 0.9, 0)], 0.5),
        # A duplicate is false.
        ([ONE, (FAR, 0, False)], [(BOX, 0.9, 0), (BOX, 0.8, 0), (FAR, 0.7, 0)], 0.5 + 0.5 * 2 / 3),
        ([(SMALL, 0, False)], [(LARGER, 0.9, 0)], 1.0),
        ([(SMALL, 0, False)], [((15, 15, 35, 35.1), 0.9, 0)], 0.0),
        # An IoU of exactly 0.5.
        ([ONE], [((0, 0, 100, 50), 0.9, 0)], 1.0),
        ([ONE], [((0, 0, 100, 49.9), 0.9, 0)], 0.0),
        # The free one is enough (VOC: 0.5), but the closest goes first.
        (RIVALS, [(FIRST, 0.9, 0), (BETWEEN, 0.8, 0)], 1.0),
        (RIVALS, [(BETWEEN, 0.9, 0), (FIRST, 0.8, 0)], 0.5),
        ([ONE, DIFFICULT], [(FAR, 0.9, 0), (FAR, 0.8, 0), (BOX, 0.7, 0)], 1.0),
        ([ONE, (BOX, 0, True)], [(BOX, 0.9, 0)], 1.0),
        ([(BOX, 0, True)], [(BOX, 0.9, 0)], math.nan),
    ],
)
def test_hand_made(truth, found, expected):
    metrics = imagenet_det.ilsvrc_metrics(*make(truth, found))
    assert metrics["per_class"]["a"] == pytest.approx(expected, nan_ok=True)


def test_blacklisted_pairs_do_not_count():
    dataset, found = make(
        [(BOX, 0, False), (FAR, 1, False)], [(BOX, 0.9, 0), (BOX, 0.8, 1), (FAR, 0.7, 1)]
    )
    per_class = imagenet_det.ilsvrc_metrics(dataset, found)["per_class"]
    assert per_class == pytest.approx({"a": 1.0, "b": 0.5})
    dataset.records = [dataclasses.replace(dataset.records[0], unlabelled=(1,))]
    metrics = imagenet_det.ilsvrc_metrics(dataset, found)
    assert metrics["per_class"]["a"] == metrics["mAP"] == 1
    assert math.isnan(metrics["per_class"]["b"])


def test_equals_voc_for_large_objects_apart_from_each_other():
    """The two rules differ in small objects and in rivals only."""
    rng = np.random.default_rng(5)
    boxes = [(y, x, y + 90, x + 90) for y in (0, 200, 400) for x in (0, 200, 400)]
    moved = boxes + rng.normal(0, 15, [9, 4])
    scene = make(
        [(box, i % 2, False) for i, box in enumerate(boxes)],
        [(box, rng.random(), i % 2) for i, box in enumerate(moved)],
    )
    metrics, expected = imagenet_det.ilsvrc_metrics(*scene), voc.voc_metrics(*scene)
    assert 0.1 < metrics["mAP"] < 1
    assert metrics == {key: expected[key] for key in ("mAP", "per_class")}


def test_nothing_detected_nothing_to_detect_and_a_strange_image():
    dataset, found = single(BOX, BOX)
    assert imagenet_det.ilsvrc_metrics(dataset, detections.empty())["mAP"] == 0
    nothing = Dataset("none", [], ["a"], [1]), detections.empty()
    assert math.isnan(imagenet_det.ilsvrc_metrics(*nothing)["mAP"])
    found.image_ids = np.asarray([77])
    with pytest.raises(ValueError, match="image 77"):
        scoring.score(dataset, found, EvalConfig(metrics=["ilsvrc"]))
