"""The exact mix-up: pixels and objects of two images, the same again for the same seed."""

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn.config.schema import DataConfig
from lhrcnn.data.transforms import mixup

NAMES = ("boxes", "classes", "ignore")


def mixed(batch, *seeds):
    """For each seed (the batch after the transform, as arrays; the weight of the next image in
    each, [B])."""
    transform = mixup.exact_mix_up(DataConfig())
    changed = tf.data.Dataset.from_tensor_slices(np.array(seeds, np.int64)).map(
        lambda seed: transform({name: tf.constant(values) for name, values in batch.items()}, seed)
    )
    assert changed.element_spec == tf.data.Dataset.from_tensors(batch).element_spec
    for seed, found in zip(seeds, changed.as_numpy_iterator()):
        numbers = tf.random.stateless_uniform([len(batch["image"]), 2], seed).numpy()
        weights = mixup.LEAST + (1 - 2 * mixup.LEAST) * numbers[:, 1]
        yield found, np.where(numbers[:, 0] < mixup.SHARE, weights, 0)


@pytest.mark.parametrize("seed", [(0, 0), (1, 2), (3, 4), (5, 6)])
def test_pixels_and_objects_are_those_of_the_twin(batch, seed):
    ((found, weights),) = mixed(batch, seed)
    number, most = batch["classes"].shape
    for index, weight in enumerate(weights):
        following = (index + 1) % number
        own, other = (batch["image"][k].astype(np.float64) for k in (index, following))
        difference = found["image"][index] - (own * (1 - weight) + other * weight)
        assert np.abs(difference).max() <= 0.501
        sizes = batch["image_size"][[index, following] if weight else [index]]
        np.testing.assert_array_equal(found["image_size"][index], sizes.max(0))
        objects = [
            (tuple(box), kind, ignore)
            for source in ([index, following] if weight else [index])
            for box, kind, ignore in zip(*(batch[name][source] for name in NAMES))
            if kind >= 0
        ]
        area = [(b[2] - b[0]) * (b[3] - b[1]) for b, _, _ in objects]
        ranked = sorted(range(len(objects)), key=lambda k: (objects[k][2], -area[k], k))
        kept = found["classes"][index] >= 0
        own = [found[name][index][kept] for name in NAMES]
        expected = [objects[k] for k in sorted(ranked[:most])]
        assert [(tuple(box), kind, flag) for box, kind, flag in zip(*own)] == expected
        assert not found["boxes"][index][~kept].any() and not found["ignore"][index][~kept].any()


def test_about_half_of_the_images_stay_as_they_are(batch):
    alone = 0
    for found, weights in mixed(batch, *((seed, 0) for seed in range(40))):
        assert ((weights == 0) | (weights >= 0.35) & (weights <= 0.65)).all()
        for index in np.flatnonzero(weights == 0):
            alone += 1
            for name in batch:
                np.testing.assert_array_equal(found[name][index], batch[name][index])
    assert 70 < alone < 130


def test_the_seed_decides(batch):
    first, again, other = (found for found, _ in mixed(batch, (1, 2), (1, 2), (2, 2)))
    for name in batch:
        np.testing.assert_array_equal(first[name], again[name])
    assert (first["image"] != other["image"]).any()
