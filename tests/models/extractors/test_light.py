"""The light head: parameter counts of the paper, receptive field, channel order."""

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn import config as configs
from lhrcnn.models.extractors.light import LargeSeparableConv, LightExtractor

# Features that are the map's values, once the fully connected layer's weight is 1.
PASS_THROUGH = dict(pool_size=1, thin_channels=1, pool="avg", fc_channels=1)


def make_head(strides, **options):
    config = configs.HeadConfig(roi_impl="tf", **options)
    return LightExtractor(configs.ModelConfig(head=config), strides)


@pytest.mark.parametrize(
    "channels, mid, kernels, biases", [(2048, 256, 19_491_840, 1_492), (576, 64, 2_046_720, 1_108)]
)
def test_large_separable_convolution_has_the_parameters_of_the_paper(
    channels, mid, kernels, biases
):
    layer = LargeSeparableConv(15, mid, 490, "thin_map")
    assert layer(tf.zeros([1, 2, 3, channels])).shape == (1, 2, 3, 490)
    sizes = {
        kind: sum(int(np.prod(v.shape)) for v in layer.weights if kind in v.name)
        for kind in ("kernel", "bias")
    }
    assert sizes == {"kernel": kernels, "bias": biases}


def test_it_sees_a_cross_joined_square_and_nothing_beyond():
    layer = LargeSeparableConv(5, 4, 3, "thin_map")
    impulse = np.zeros([1, 11, 13, 2], np.float32)
    impulse[0, 5, 6] = 1
    for variable in layer(impulse) is not None and layer.weights:
        variable.assign(
            tf.ones_like(variable) if "kernel" in variable.name else tf.zeros_like(variable)
        )
    seen = layer(impulse).numpy()[0].any(-1)
    expected = np.zeros([11, 13], bool)
    expected[3:8, 4:9] = True
    np.testing.assert_array_equal(seen, expected)


def test_fully_connected_layer_has_the_size_of_the_paper():
    head = make_head({"c5": 16})
    features = head(head.prepare({"c5": tf.zeros([1, 4, 4, 8])}), tf.constant([[[0.0, 0, 32, 32]]]))
    assert features.shape == (1, 1, 2048) and head.fc.kernel.shape == (490, 2048)


def test_prepared_map_is_read_at_the_boxes_scale():
    """Boxes are px of the image; a map of stride 16 that holds its row number gives the row of the
    box's centre."""
    head = make_head({"c5": 16}, **PASS_THROUGH)
    rows = tf.tile(tf.range(10.0)[None, :, None, None], [1, 1, 10, 1])
    boxes = tf.constant([[[32.0, 16, 96, 64], [16.0, 16, 48, 48]]])
    head({"c5": rows}, boxes)
    head.fc.kernel.assign([[1.0]])
    np.testing.assert_allclose(head({"c5": rows}, boxes)[0, :, 0], [4.0, 2.0], atol=1e-5)


def test_levels_of_a_pyramid_share_the_thin_map_and_boxes_go_to_the_level_of_their_size():
    head = make_head({"p2": 4, "p3": 8}, levels=["p2", "p3"], finest_scale=16, **PASS_THROUGH)
    head.prepare({"p2": tf.zeros([1, 16, 16, 3]), "p3": tf.zeros([1, 8, 8, 3])})
    assert len(head.thin_map.weights) == 8  # four convolutions with bias, however many levels
    maps = {"p2": tf.fill([1, 16, 16, 1], 2.0), "p3": tf.fill([1, 8, 8, 1], 3.0)}
    boxes = tf.constant(
        [[[8.0, 8, 24, 24], [8.0, 8, 48, 48], [8, 8, 39.9, 39.9], [0, 0, 0, 0]]]
    )  # sides 16, 40, 31.9 and none
    head(maps, boxes)
    head.fc.kernel.assign([[1.0]])
    np.testing.assert_allclose(head(maps, boxes)[0, :, 0], [2, 3, 2, 0])
