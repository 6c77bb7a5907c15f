"""The exact mosaic: pixels and boxes of four images, the same again for the same seed."""

import numpy as np
import pytest
import tensorflow as tf
from reference.mosaic import OBJECTS
from reference.mosaic import mosaic as slow_mosaic

from lhrcnn.config.schema import DataConfig
from lhrcnn.data import transforms
from lhrcnn.data.transforms import mosaic

HEIGHT, WIDTH = 32, 48  # of the batch


def joined(batch, *seeds):
    """For each seed (the batch after the transform as arrays, the points that the seed stands for
    [B, 2])."""
    transform = mosaic.exact_mosaic(DataConfig())
    changed = tf.data.Dataset.from_tensor_slices(np.array(seeds, np.int64)).map(
        lambda seed: transform({name: tf.constant(values) for name, values in batch.items()}, seed)
    )
    assert changed.element_spec == tf.data.Dataset.from_tensors(batch).element_spec
    for seed, found in zip(seeds, changed.as_numpy_iterator()):
        numbers = tf.random.stateless_uniform([5, 3], seed).numpy()
        share = mosaic.MARGIN + (1 - 2 * mosaic.MARGIN) * numbers[:, 1:]
        points = np.round(np.array([HEIGHT, WIDTH], np.float32) * share).astype(int)
        points[numbers[:, 0] >= mosaic.SHARE] = HEIGHT, WIDTH
        yield found, points


@pytest.mark.parametrize("seed", [(0, 0), (1, 2), (3, 4), (5, 6)])
def test_images_and_boxes_are_those_of_the_slow_twin(batch, seed):
    ((found, points),) = joined(batch, seed)
    images, objects = slow_mosaic(batch, points, batch["classes"].shape[1])
    np.testing.assert_array_equal(found["image"], images)
    for index, expected in enumerate(objects):
        kept = found["classes"][index] >= 0
        own = [found[name][index][kept] for name in OBJECTS]
        assert [(tuple(box), kind, flag) for box, kind, flag in zip(*own)] == expected
        assert not found["boxes"][index][~kept].any() and not found["ignore"][index][~kept].any()


def test_about_half_of_the_images_stay_as_they_are(batch):
    alone = 0
    for found, points in joined(batch, *((seed, 0) for seed in range(40))):
        for index in np.flatnonzero((points == (HEIGHT, WIDTH)).all(1)):
            alone += 1
            for name in batch:
                np.testing.assert_array_equal(found[name][index], batch[name][index])
        others = (points != (HEIGHT, WIDTH)).any(1)
        assert (found["image_size"][others] == (HEIGHT, WIDTH)).all()
        assert (points[others] >= [6, 9]).all() and (points[others] <= [26, 39]).all()
    assert 70 < alone < 130


def test_the_seed_decides(batch):
    first, again, other = (found for found, _ in joined(batch, (1, 2), (1, 2), (2, 2)))
    for name in batch:
        np.testing.assert_array_equal(first[name], again[name])
    assert (first["image"] != other["image"]).any()


def test_a_config_can_be_checked_after_its_import():
    """A module of the name of what the check calls would have taken its place."""
    assert "ExactMosaic" in transforms.joining()
