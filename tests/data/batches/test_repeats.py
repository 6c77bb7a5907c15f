"""Images of rare classes are shown more often: factors by hand, counts of an epoch, whole plans."""

import collections

import numpy as np
import pytest
from data.samples import options, write_sized

from lhrcnn.data.batches.plan import BatchPlan
from lhrcnn.data.batches.repeats import repeat_factors, repeated
from lhrcnn.data.datasets import open_dataset
from lhrcnn.data.schema import Record


def record(*classes, ignored=()):
    """An image with objects of these classes, and ignored ones of others."""
    count = len(classes) + len(ignored)
    return Record(
        0,
        "",
        8,
        8,
        np.zeros([count, 4], np.float32),
        np.array([*classes, *ignored], np.int32),
        np.arange(count) >= len(classes),
        np.zeros(count, np.float32),
    )


def test_factors_by_hand():
    records = [
        record(0),
        record(0, 0),
        record(0, 1),
        record(0, ignored=[2]),
        record(),
        record(2, 1),
        record(0),
        record(0),
    ]
    # Class 0 is in 6 of 8 images, 1 in 2, 2 in 1 where it counts.
    asked = np.array([1, 1, 2**0.5, 1, 1, 2, 1, 1])
    np.testing.assert_allclose(repeat_factors(records, 0.5), asked * 10 / asked.sum())
    np.testing.assert_array_equal(repeat_factors(records, 0.1), np.ones(8))


def test_factors_where_nothing_counts():
    np.testing.assert_array_equal(repeat_factors([record(), record(ignored=[0])], 0.5), [1, 1])


@pytest.mark.parametrize("offset", [0.0, 0.3, 0.999999])
def test_an_epoch_has_every_image_its_factor_rounded_up_or_down(rng, offset):
    factors = 1 + 3 * rng.random(1000)
    factors *= np.ceil(factors.sum()) / factors.sum()
    shown = repeated(factors, offset)
    counts = np.bincount(shown, minlength=1000)
    assert len(shown) == round(factors.sum())
    assert (counts >= np.floor(factors)).all() and (counts <= np.ceil(factors)).all()


def test_the_mean_of_many_epochs_is_the_factor(rng):
    factors = np.array([1.0, 1.25, 2.5, 1.25])
    counts = [
        np.bincount(repeated(factors, offset), minlength=4) for offset in np.arange(0, 1, 0.01)
    ]
    np.testing.assert_allclose(np.mean(counts, 0), factors, atol=0.011)


def test_a_plan_repeats_rare_classes(tmp_path):
    folder = write_sized(tmp_path, [(30, 30), (30, 40), (40, 30), (30, 48)] * 5)
    data = options(folder, "format=coco", "short_side=[24]", "long_side=64", "repeat_below=0.8")
    dataset = open_dataset(data, "train", training=True)
    for index, each in enumerate(dataset.records):
        each.classes[:] = index < 5  # class 1 is in 5 of 20 images, class 0 in 15
    plan = BatchPlan(dataset, data, 4, seed=3)
    factors = repeat_factors(dataset.records, 0.8)
    assert plan.steps_per_epoch == -(-round(factors.sum()) // 4) > 5
    epochs = [
        collections.Counter(
            int(index)
            for step in range(epoch * plan.steps_per_epoch, (epoch + 1) * plan.steps_per_epoch)
            for index in plan.batch(step).indices
        )
        for epoch in range(40)
    ]
    assert all(set(counts) == set(range(20)) for counts in epochs)
    mean = np.array([np.mean([counts[index] for counts in epochs]) for index in range(20)])
    filled = 4 * plan.steps_per_epoch / factors.sum()  # the last batch, from any images
    np.testing.assert_allclose(mean[:5].mean(), factors[0] * filled, atol=0.05)
    np.testing.assert_allclose(mean[5:].mean(), factors[-1] * filled, atol=0.05)
    again = BatchPlan(dataset, data, 4, seed=3).batch(57)
    np.testing.assert_array_equal(again.indices, plan.batch(57).indices)
