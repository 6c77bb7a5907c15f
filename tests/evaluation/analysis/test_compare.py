"""Comparing two sets of detections on the same images."""

import dataclasses

import numpy as np
import pytest
from scenes import random_dataset, random_detections

from lhrcnn.commands.compare import format_comparison
from lhrcnn.config import EvalConfig
from lhrcnn.evaluation.analysis.compare import compare, difference
from lhrcnn.evaluation.columns import mean_of_known
from lhrcnn.evaluation.metrics import coco


@pytest.fixture
def scene():
    rng = np.random.default_rng(4)
    dataset = random_dataset(rng, num_images=40)
    return dataset, random_detections(rng, dataset)


def test_the_same_detections_do_not_differ(scene):
    result = compare(scene[0], scene[1], scene[1], rounds=20)
    for row in [result["AP"], result["AP50"], *result["classes"].values()]:
        assert row["difference"] == row["low"] == row["high"] == 0 and row["p"] == 1
    assert result["images"]["gained"] == result["images"]["lost"] == {"objects": 0, "images": []}


@pytest.mark.filterwarnings("error")
def test_draws_without_an_object_count_for_nothing_and_say_nothing(scene):
    dataset, found = scene
    one = next(r for r in dataset.records if (~r.ignore).any())
    columns = {name: getattr(one, name)[:0] for name in ("boxes", "classes", "ignore", "areas")}
    empty = dataclasses.replace(one, image_id=one.image_id + 1, **columns)
    few = dataclasses.replace(dataset, records=[one, empty])
    some = dataclasses.replace(found, **{k: v[:0] for k, v in vars(found).items()})
    row = compare(few, some, some, rounds=20)["AP"]
    assert (row["first"], row["difference"], row["low"], row["high"]) == (0, 0, 0, 0)
    values = np.array([[1.0, np.nan, 3.0], [np.nan] * 3])
    np.testing.assert_array_equal(mean_of_known(values, 1), [2.0, np.nan])


def test_perfect_detections_are_better_beyond_doubt(scene):
    dataset, found = scene
    parts = [(r.image_id, r.boxes[~r.ignore], r.classes[~r.ignore]) for r in dataset.records]
    perfect = dataclasses.replace(
        found,
        image_ids=np.concatenate([np.full(len(boxes), i) for i, boxes, _ in parts]),
        boxes=np.concatenate([boxes for _, boxes, _ in parts]),
        classes=np.concatenate([classes for *_, classes in parts]),
        scores=np.ones(sum(len(boxes) for _, boxes, _ in parts)),
    )
    result = compare(dataset, found, perfect, rounds=50)
    scored = coco.coco_metrics(dataset, found, EvalConfig())
    assert result["AP"]["first"] == pytest.approx(scored["AP"], abs=1e-12)
    assert result["AP"]["second"] == pytest.approx(1)
    assert 0 < result["AP"]["low"] < result["AP"]["difference"] and result["AP"]["p"] == 1 / 50
    assert result["images"]["lost"]["objects"] == 0
    gained = result["images"]["gained"]
    assert sum(len(row["objects"]) for row in gained["images"]) <= gained["objects"]
    assert all(row["second"]["count"] == 0 for row in result["errors"].values())
    assert "class 4" not in result["classes"]  # there is no object of it
    text = format_comparison("a", "b", result)
    assert "within noise" not in text.split("AP by class")[0] and "\nMiss " in text


def test_a_coin_is_within_noise():
    rng = np.random.default_rng(0)
    draws = rng.normal(0.3, 0.05, [2, 400])
    row = difference([0.3, 0.302], draws)
    assert row["difference"] == pytest.approx(0.002)
    assert row["low"] < 0 < row["high"] and row["p"] > 0.5
