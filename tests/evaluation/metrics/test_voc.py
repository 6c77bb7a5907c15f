"""VOC average precision against the written-out count, and hand-made cases."""

import math

import numpy as np
import pytest
from evaluation.metrics.test_coco import random_dataset, random_detections, single
from reference import voc_ap

from lhrcnn.data.schema import Dataset, Record
from lhrcnn.evaluation import detections
from lhrcnn.evaluation.metrics import voc


def make(truth, found):
    """One image; truth [(box, class, difficult)], found [(box, score, class)]."""
    boxes, classes, ignore = zip(*truth)
    record = Record(
        1,
        "1.jpg",
        500,
        500,
        np.asarray(boxes, np.float32),
        np.asarray(classes, np.int32),
        np.asarray(ignore),
        np.ones(len(truth)),
    )
    boxes, scores, labels = zip(*found)
    return (
        Dataset("one", [record], ["a", "b"], [1, 2]),
        detections.Detections(
            np.ones(len(found), np.int64),
            np.asarray(boxes),
            np.asarray(scores),
            np.asarray(labels, np.int32),
        ),
    )


BOX, FAR, CLOSE = (0, 0, 100, 100), (300, 300, 400, 400), (0, 0, 100, 90)


@pytest.mark.parametrize("eleven_point", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_equals_the_written_out_count(seed, eleven_point):
    rng = np.random.default_rng(seed)
    dataset = random_dataset(
        rng, num_images=int(rng.integers(1, 40)), num_classes=int(rng.integers(1, 6))
    )
    found = random_detections(rng, dataset, num_false=int(rng.integers(1, 200)))
    metrics = voc.voc_metrics(dataset, found, eleven_point=eleven_point)
    rows = list(zip(found.image_ids, found.boxes.astype(np.float64), found.scores, found.classes))
    expected = [
        voc_ap.class_ap(dataset.records, rows, k, eleven_point) for k in range(dataset.num_classes)
    ]
    np.testing.assert_allclose(list(metrics["per_class"].values()), expected, atol=1e-12)
    table = np.array(
        [
            [
                voc_ap.class_ap(dataset.records, rows, k, eleven_point, iou / 100)
                for k in range(dataset.num_classes)
            ]
            for iou in range(50, 100, 5)
        ]
    )
    means = table[:, ~np.isnan(expected)].mean(1)
    np.testing.assert_allclose(
        [metrics["mAP"], metrics["mAP70"], metrics["mAP50_95"]], [means[0], means[4], means.mean()]
    )


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_where_recall_meets_the_eleven_points(seed):
    rng = np.random.default_rng(seed)
    for num_objects in (1, 5, 10, 20, 30):
        true = rng.uniform(size=60) < 0.5
        true &= np.cumsum(true) <= num_objects
        recalls = np.cumsum(true) / num_objects
        precisions = np.cumsum(true) / np.arange(1, 61)
        assert voc.average_precision(true, num_objects, True) == pytest.approx(
            voc_ap.eleven_point_ap(recalls, precisions), abs=1e-12
        )
        assert voc.average_precision(true, num_objects, False) == pytest.approx(
            voc_ap.area_ap(list(recalls), list(precisions)), abs=1e-12
        )


@pytest.mark.parametrize(
    "truth, found, area, eleven",
    [
        ([(BOX, 0, False)], [(BOX, 0.9, 0)], 1.0, 1.0),
        ([(BOX, 0, False)], [(FAR, 0.9, 0)], 0.0, 0.0),
        (
            [(BOX, 0, False), (FAR, 0, False)],
            [(BOX, 0.9, 0)],
            0.5,
            6 / 11,
        ),  # recall 0.5: points 0 to 0.5
        (
            [(BOX, 0, False)],
            [(BOX, 0.9, 0), (CLOSE, 0.8, 0)],
            1.0,
            1.0,
        ),  # a duplicate after full recall
        (
            [(BOX, 0, False)],
            [(CLOSE, 0.9, 0), (BOX, 0.8, 0)],
            1.0,
            1.0,
        ),  # the better box comes second: it is the duplicate
        ([(BOX, 0, False)], [(FAR, 0.9, 0), (BOX, 0.8, 0)], 0.5, 0.5),
        (
            [(BOX, 0, False), (FAR, 0, True)],
            [(FAR, 0.9, 0), (BOX, 0.8, 0)],
            1.0,
            1.0,
        ),  # a difficult one found first costs nothing
        (
            [(BOX, 0, False), (FAR, 0, True)],
            [(FAR, 0.9, 0), (FAR, 0.8, 0), (BOX, 0.7, 0)],
            1.0,
            1.0,
        ),  # nor found twice
        (
            [(BOX, 0, False), (FAR, 0, True)],
            [((0, 0, 0, 0), 0.9, 0)],
            0.0,
            0.0,
        ),  # nor does it have to be found
        ([(BOX, 0, True)], [(BOX, 0.9, 0)], math.nan, math.nan),
        ([(BOX, 0, False)], [(BOX, 0.9, 1)], 0.0, 0.0),
        ([(BOX, 0, False)], [((0, 0, 100, 50), 0.9, 0)], 1.0, 1.0),  # IoU exactly 0.5 counts
        ([(BOX, 0, False)], [((0, 0, 100, 49.9), 0.9, 0)], 0.0, 0.0),
    ],
)
def test_hand_made(truth, found, area, eleven):
    dataset, found = make(truth, found)
    for expected, eleven_point in ((area, False), (eleven, True)):
        assert voc.voc_metrics(dataset, found, eleven_point=eleven_point)["per_class"][
            "a"
        ] == pytest.approx(expected, nan_ok=True)


def test_the_closest_truth_decides_even_when_taken():
    """Both detections overlap the first box most, so the second is a duplicate although it covers
    the other box by half."""
    first, second = (0, 0, 100, 100), (0, 40, 100, 140)
    dataset, found = make(
        [(first, 0, False), (second, 0, False)], [(first, 0.9, 0), ((0, 10, 100, 110), 0.8, 0)]
    )
    assert voc.voc_metrics(dataset, found, eleven_point=False)["per_class"]["a"] == pytest.approx(
        0.5
    )


def test_class_without_truth_stays_out_of_the_mean():
    dataset, found = make([(BOX, 0, False)], [(BOX, 0.9, 0), (BOX, 0.9, 1)])
    metrics = voc.voc_metrics(dataset, found, eleven_point=True)
    assert metrics["mAP"] == pytest.approx(1) and math.isnan(metrics["per_class"]["b"])


def test_nothing_detected_and_nothing_to_detect():
    dataset, _ = single(BOX, BOX)
    assert voc.voc_metrics(dataset, detections.empty(), eleven_point=True)["mAP"] == 0
    assert math.isnan(
        voc.voc_metrics(Dataset("none", [], ["a"], [1]), detections.empty(), eleven_point=True)[
            "mAP"
        ]
    )


def test_detection_of_an_unknown_image_is_named():
    dataset, found = single(BOX, BOX)
    found.image_ids = np.asarray([77])
    with pytest.raises(ValueError, match="image 77"):
        voc.voc_metrics(dataset, found, eleven_point=True)
