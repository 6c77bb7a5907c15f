"""keras-cv's layers as transforms."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn.config.schema import DataConfig
from lhrcnn.data.transforms import TRANSFORMS, keras_cv, transform_of
from lhrcnn.errors import DependencyError


@pytest.fixture(scope="module")
def batch():
    """Three images of 32 x 48 px, the valid area of the second 24 x 40."""
    rng = np.random.default_rng(0)
    image = rng.integers(1, 256, (3, 32, 48, 3), dtype=np.uint8)
    image[1, 24:], image[1, :, 40:] = 0, 0
    boxes = np.zeros((3, 4, 4), np.float32)
    boxes[:, :2] = [(2, 3, 20, 30), (5, 10, 15, 25)]
    classes = np.tile(np.array([4, 2, -1, -1], np.int32), (3, 1))
    return {
        "image": tf.constant(image),
        "image_size": tf.constant([[32.0, 48], [24, 40], [32, 48]]),
        "scale": tf.ones([3, 2]),
        "boxes": tf.constant(boxes),
        "classes": tf.constant(classes),
        "ignore": tf.constant(classes == 2),
        "image_id": tf.constant([1, 2, 3], tf.int64),
    }


@pytest.mark.parametrize("name", [n for n, entry in TRANSFORMS.items() if "keras_cv" in str(entry)])
def test_keras_cv_layers_keep_the_schema(batch, name):
    pytest.importorskip("keras_cv")
    batches = tf.data.Dataset.from_tensors(batch).repeat(6)
    change = transform_of(name)(DataConfig())
    changed = batches.map(lambda batch: change(batch, None))
    assert changed.element_spec == batches.element_spec
    different = 0
    for result in changed.as_numpy_iterator():
        different += not np.array_equal(result["image"], batch["image"])
        boxes, classes = result["boxes"], result["classes"]
        valid = classes >= 0
        assert set(np.unique(classes)) <= {-1, 2, 4} and np.array_equal(
            result["ignore"], classes == 2
        )
        assert (
            np.all((boxes[..., 2:] - boxes[..., :2] >= 1).all(-1) == valid)
            and not boxes[~valid].any()
        )
        if name in ("MixUp", "Mosaic"):
            assert (result["image_size"] == (32, 48)).all()
            assert np.all(boxes >= 0) and np.all(boxes <= (32, 48, 32, 48))
        else:
            np.testing.assert_array_equal(boxes, batch["boxes"])
            assert not result["image"][1, 24:].any() and not result["image"][1, :, 40:].any()
    assert different > 0


def test_mixing_keeps_the_largest_boxes(batch):
    pytest.importorskip("keras_cv")
    mixed = keras_cv.mix_up(DataConfig())(batch, None)
    sides = mixed["boxes"].numpy()[..., 2:] - mixed["boxes"].numpy()[..., :2]
    areas = np.sort(sides.prod(axis=-1), axis=1)
    np.testing.assert_allclose(areas, [[150, 150, 486, 486]] * 3)  # both images' boxes


def test_a_missing_keras_cv_names_the_option(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_cv", None)
    with pytest.raises(DependencyError, match="data.transforms: .* need the package keras-cv"):
        keras_cv.mix_up(DataConfig())
