"""AP of weighted images, curves and calibration, beside libraries and obvious loops."""

import dataclasses

import numpy as np
import pytest
from scenes import random_dataset, random_detections

from lhrcnn.config import EvalConfig
from lhrcnn.data.schema import Dataset
from lhrcnn.evaluation import columns
from lhrcnn.evaluation.analysis import bootstrap, curves
from lhrcnn.evaluation.analysis.matches import match
from lhrcnn.evaluation.columns import IOUS
from lhrcnn.evaluation.detections import Detections
from lhrcnn.evaluation.metrics import coco


def scene(seed, **sizes):
    rng = np.random.default_rng(seed)
    dataset = random_dataset(rng, **sizes)
    return dataset, random_detections(rng, dataset)


def library_ap(dataset, found):
    scored = coco.coco_metrics(dataset, found, EvalConfig(backend="reference"))
    return np.array(list(scored["per_class"].values()))


@pytest.mark.parametrize("seed", range(8))
def test_ap_of_equal_weights_is_the_library_s(seed):
    dataset, found = scene(seed)
    ap = [part.ap() for part in curves.columns_of(match(dataset, found))]
    np.testing.assert_allclose(np.mean(ap, axis=1), library_ap(dataset, found), atol=1e-12)
    first = [part.ap() for part in curves.columns_of(match(dataset, found, IOUS[:3]))]
    np.testing.assert_array_equal(first, np.array(ap)[:, :3])


@pytest.mark.parametrize("seed", range(4))
def test_weights_are_images_that_occur_several_times(seed):
    dataset, found = scene(seed)
    found.scores[:] = np.random.default_rng(seed).permutation(len(found)) / len(found)
    weights = next(bootstrap.weights_of(len(dataset.records), seed=seed))
    records, parts = [], []
    rows = columns.image_rows(dataset)
    for row, image_id in enumerate(rows):
        record = next(record for record in dataset.records if record.image_id == image_id)
        mine = found.image_ids == image_id
        for _ in range(int(weights[row])):
            copy = len(records) + 1
            records.append(dataclasses.replace(record, image_id=copy))
            ids = np.full(mine.sum(), copy)
            parts.append((ids, found.boxes[mine], found.scores[mine], found.classes[mine]))
    drawn = Dataset("drawn", records, dataset.class_names, dataset.category_ids)
    many = Detections(*(np.concatenate(column) for column in zip(*parts)))
    ap = [part.ap(weights).mean() for part in curves.columns_of(match(dataset, found))]
    np.testing.assert_allclose(ap, library_ap(drawn, many), atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_curve_by_threshold(seed):
    dataset, found = scene(seed)
    matches = match(dataset, found)
    for k, part in enumerate(curves.columns_of(matches)):
        points, number = curves.curve(part), matches.counts()[k]
        mine = (matches.found.classes == k) & ~matches.ignored[0]
        for place, score in enumerate(points["scores"]):
            kept = mine & (matches.found.scores >= score)
            true = (kept & matches.true[0]).sum()
            assert points["precision"][place] == true / kept.sum()
            assert points["recall"][place] == true / max(number, 1)
            assert points["f1"][place] == pytest.approx(2 * true / (kept.sum() + number))
        best = curves.best_threshold(points)
        assert (best is None) == (not len(points["f1"]) or not points["f1"].max())
        if best:
            assert best["f1"] == points["f1"].max() and best["score"] in points["scores"]


def test_numbers_for_tensorboard_threshold_by_threshold():
    dataset, found = scene(3)
    matches = match(dataset, found, IOUS[:1])
    assert matches.taken.shape[0] == 1
    counts = matches.counts()
    for k, part in enumerate(curves.columns_of(matches)):
        table = curves.by_threshold(part, 11)
        mine = (matches.found.classes == k) & ~matches.ignored[0]
        for place, least in enumerate(np.linspace(0, 1, 11)):
            kept = mine & (matches.found.scores >= least)
            true = (kept & matches.true[0]).sum()
            if true:
                expected = [true, kept.sum() - true, 0, counts[k] - true, true / kept.sum()]
                assert table[:5, place] == pytest.approx(expected)
            assert table[5, place] == pytest.approx(true / max(counts[k], 1))


def test_calibration_by_hand():
    found = curves.calibration(np.array([0.05, 0.95, 0.85, 1.0]), np.array([0.0, 1, 0, 1]))
    assert [row["count"] for row in found["bins"]] == [1, 1, 2]
    assert found["bins"][2] == {"score": pytest.approx(0.975), "precision": 1.0, "count": 2}
    assert found["ece"] == pytest.approx((0.05 + 0.85 + 2 * 0.025) / 4)
    assert curves.calibration(np.zeros(0), np.zeros(0)) == {"ece": 0.0, "bins": []}


def test_interval_and_p_value():
    dataset, found = scene(1, num_images=12)
    parts = curves.columns_of(match(dataset, found))
    draws = bootstrap.resampled(parts, 12, rounds=60)
    assert draws.shape == (60, 5, 10)
    np.testing.assert_array_equal(draws, bootstrap.resampled(parts, 12, rounds=60))
    low, high = bootstrap.interval(draws[:, 0, 0])
    inside = (draws[:, 0, 0] >= low) & (draws[:, 0, 0] <= high)
    assert 0.9 <= inside.mean() < 1 and low < high
    assert bootstrap.p_value(np.zeros(50)) == 1
    assert bootstrap.p_value(np.ones(50)) == 1 / 50
    assert bootstrap.p_value(np.array([1.0, 1, 1, -1])) == 0.5
