"""VOC average precision against the written-out count, and hand-made cases."""

import math

import numpy as np
import pytest
from evaluation.metrics.test_coco import random_dataset, random_detections, single
from reference import voc_ap
from scenes import record

from lhrcnn.data.schema import Dataset
from lhrcnn.evaluation import detections
from lhrcnn.evaluation.metrics import voc


def make(truth, found):
    """One image; truth [(box, class, difficult)], found [(box, score, class)]."""
    dataset = Dataset("one", [record(*zip(*truth), size=(500, 500))], ["a", "b"], [1, 2])
    return dataset, detections.of_image(1, *zip(*found))


BOX, FAR, CLOSE = (0, 0, 100, 100), (300, 300, 400, 400), (0, 0, 100, 90)
ONE, DIFFICULT = (BOX, 0, False), (FAR, 0, True)


@pytest.mark.parametrize("eleven_point", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_equals_the_written_out_count(seed, eleven_point):
    rng = np.random.default_rng(seed)
    dataset = random_dataset(rng, rng.integers(1, 40), rng.integers(1, 6))
    found = random_detections(rng, dataset, num_false=int(rng.integers(1, 200)))
    metrics = voc.voc_metrics(dataset, found, eleven_point=eleven_point)
    rows = list(zip(found.image_ids, found.boxes.astype(np.float64), found.scores, found.classes))

    def aps(iou):
        classes = range(dataset.num_classes)
        return [voc_ap.class_ap(dataset.records, rows, k, eleven_point, iou) for k in classes]

    expected = np.array([aps(iou / 100) for iou in range(50, 100, 5)])
    np.testing.assert_allclose(list(metrics["per_class"].values()), expected[0], atol=1e-12)
    means = expected[:, ~np.isnan(expected[0])].mean(1)
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
        ([ONE], [(BOX, 0.9, 0)], 1.0, 1.0),
        ([ONE], [(FAR, 0.9, 0)], 0.0, 0.0),
        # Recall 0.5: points 0 to 0.5.
        ([ONE, (FAR, 0, False)], [(BOX, 0.9, 0)], 0.5, 6 / 11),
        # A duplicate after full recall; where the better box comes second, it is the duplicate.
        ([ONE], [(BOX, 0.9, 0), (CLOSE, 0.8, 0)], 1.0, 1.0),
        ([ONE], [(CLOSE, 0.9, 0), (BOX, 0.8, 0)], 1.0, 1.0),
        ([ONE], [(FAR, 0.9, 0), (BOX, 0.8, 0)], 0.5, 0.5),
        # A difficult one found first costs nothing, nor found twice, nor does it have to be found.
        ([ONE, DIFFICULT], [(FAR, 0.9, 0), (BOX, 0.8, 0)], 1.0, 1.0),
        ([ONE, DIFFICULT], [(FAR, 0.9, 0), (FAR, 0.8, 0), (BOX, 0.7, 0)], 1.0, 1.0),
        ([ONE, DIFFICULT], [((0, 0, 0, 0), 0.9, 0)], 0.0, 0.0),
        ([(BOX, 0, True)], [(BOX, 0.9, 0)], math.nan, math.nan),
        ([ONE], [(BOX, 0.9, 1)], 0.0, 0.0),
        # An IoU of exactly 0.5 counts.
        ([ONE], [((0, 0, 100, 50), 0.9, 0)], 1.0, 1.0),
        ([ONE], [((0, 0, 100, 49.9), 0.9, 0)], 0.0, 0.0),
    ],
)
def test_hand_made(truth, found, area, eleven):
    dataset, found = make(truth, found)
    for expected, eleven_point in ((area, False), (eleven, True)):
        metrics = voc.voc_metrics(dataset, found, eleven_point=eleven_point)
        assert metrics["per_class"]["a"] == pytest.approx(expected, nan_ok=True)


def test_the_closest_truth_decides_even_when_taken():
    """Both detections overlap the first box most, so the second is a duplicate although it covers
    the other box by half."""
    first, second = (0, 0, 100, 100), (0, 40, 100, 140)
    scene = make(
        [(first, 0, False), (second, 0, False)], [(first, 0.9, 0), ((0, 10, 100, 110), 0.8, 0)]
    )
    assert voc.voc_metrics(*scene)["per_class"]["a"] == pytest.approx(0.5)


def test_class_without_truth_stays_out_of_the_mean():
    dataset, found = make([(BOX, 0, False)], [(BOX, 0.9, 0), (BOX, 0.9, 1)])
    metrics = voc.voc_metrics(dataset, found, eleven_point=True)
    assert metrics["mAP"] == pytest.approx(1) and math.isnan(metrics["per_class"]["b"])


def test_nothing_detected_and_nothing_to_detect():
    dataset, _ = single(BOX, BOX)
    assert voc.voc_metrics(dataset, detections.empty(), eleven_point=True)["mAP"] == 0
    nothing = Dataset("none", [], ["a"], [1]), detections.empty()
    assert math.isnan(voc.voc_metrics(*nothing, eleven_point=True)["mAP"])


def test_detection_of_an_unknown_image_is_named():
    dataset, found = single(BOX, BOX)
    found.image_ids = np.asarray([77])
    with pytest.raises(ValueError, match="image 77"):
        voc.voc_metrics(dataset, found, eleven_point=True)
