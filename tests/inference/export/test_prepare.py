"""The input of models of fixed size in NumPy: as the data's own resize makes it."""

import numpy as np
import pytest
import tensorflow as tf
from inference.conftest import draw_image

from lhrcnn.data import images
from lhrcnn.inference.export.prepare import prepare


def preprocess(size, resize="stretch", antialias=False):
    return {"size": list(size), "resize": resize, "antialias": antialias, "fill": [9, 8, 7]}


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(
    "before, after",
    [((50, 80), (64, 102)), ((90, 70), (41, 33)), ((1, 1), (3, 2)), ((5, 5), (5, 5))],
)
def test_stretching_is_the_resize_of_the_data(before, after, antialias):
    image = draw_image(*before)
    found, inner = prepare(image, preprocess(after, antialias=antialias))
    expected = images.resize(tf.constant(image), tf.constant(after), antialias).numpy()
    assert found.dtype == np.uint8 and found.shape == (1, *after, 3) and inner == after
    difference = np.abs(found[0].astype(int) - expected.astype(int))
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01  # halves round either way


@pytest.mark.parametrize(
    "before, inner", [((50, 100), (40, 80)), ((200, 50), (60, 15)), ((3, 4), (60, 80))]
)
def test_fitting_keeps_the_shape_and_fills_the_rest(before, inner):
    image = draw_image(*before)
    found, covered = prepare(image, preprocess((60, 80), "fit"))
    assert covered == inner
    alone = prepare(image, preprocess(inner))[0]
    np.testing.assert_array_equal(found[:, : inner[0], : inner[1]], alone)
    assert (found[:, inner[0] :] == [9, 8, 7]).all() and (
        found[:, :, inner[1] :] == [9, 8, 7]
    ).all()
