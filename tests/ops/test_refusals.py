"""The compiled ops themselves, without the checks in Python before them: what does not fit is an
InvalidArgumentError, eager and in a graph that knows no shape."""

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn.ops.compiled import custom_op_available, library

pytestmark = pytest.mark.skipif(not custom_op_available(), reason="no compiled op here")
ALIGN = {"size": 2, "spatial_scale": 1.0}
PSROI = {"group_size": 2, "spatial_scale": 1.0}
MAP, BOXES = np.ones([1, 5, 6, 4], np.float32), np.ones([1, 3, 4], np.float32)
CASES = [
    ("roi_align", {**ALIGN, "size": 1025}, [MAP, BOXES], "size must be at most 1024"),
    ("roi_align", {**ALIGN, "sampling_ratio": 1025}, [MAP, BOXES], "sampling_ratio at most 1024"),
    ("roi_align", {**ALIGN, "spatial_scale": np.nan}, [MAP, BOXES], "positive and finite"),
    ("roi_pool", {**ALIGN, "spatial_scale": np.inf}, [MAP, BOXES], "positive and finite"),
    ("ps_roi_align", {**PSROI, "spatial_scale": -1.0}, [MAP, BOXES], "positive and finite"),
    ("ps_roi_align", {**PSROI, "group_size": 33}, [MAP, BOXES], "group_size must be at most 32"),
    ("ps_roi_align", PSROI, [MAP[..., :3], BOXES], "positive multiple of 4"),
    ("roi_align", ALIGN, [MAP[:, :0], BOXES], "H and W from 1"),
    ("roi_pool", ALIGN, [MAP, BOXES[..., :3]], r"boxes must be \[B, N, 4\]"),
    ("roi_pool", ALIGN, [MAP, BOXES[[0, 0]]], r"boxes must be \[B, N, 4\]"),
    ("roi_align", ALIGN, [MAP[0], BOXES], r"features must be \[B, H, W, C\]"),
    ("roi_align_grad", ALIGN, [MAP, BOXES, MAP], "gradient must have shape"),
    ("best_pair", {"limit": 9.0, "inside": True, "borders": False}, [BOXES], r"must be \[n, 1, 2"),
]


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("name, attributes, inputs, words", CASES)
def test_what_does_not_fit_is_refused(name, attributes, inputs, words, in_graph):
    def call(*inputs):
        return getattr(library().module, f"lhrcnn_{name}")(*inputs, **attributes)

    if in_graph:
        call = tf.function(call, input_signature=[tf.TensorSpec(None, tf.float32)] * len(inputs))
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        call(*map(tf.constant, inputs))


def test_a_map_of_more_rows_than_float32_counts_is_refused():
    tall = tf.zeros([1, 2**24 + 4, 1, 1], tf.float16)
    box = tf.constant([[[2.0**24, 0, 2.0**25, 1]]])
    for name in ("lhrcnn_roi_align", "lhrcnn_roi_pool"):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"H and W from 1 to 2\^24"):
            getattr(library().module, name)(tall, box, **ALIGN)


def test_an_argmax_that_no_forward_call_gave_moves_nothing():
    ops, options = library().module, {**PSROI, "pool": "max", "sampling_ratio": 3}
    boxes = tf.constant([[[0.0, 0, 5, 5]]])
    gradient = tf.ones([1, 1, 2, 2, 1])
    for value, moves in ((0, True), (8, True), (9, False), (255, False)):
        argmax = tf.fill([1, 1, 2, 2, 1], tf.constant(value, tf.uint8))
        found = ops.lhrcnn_ps_roi_align_grad(gradient, boxes, MAP.shape, argmax, **options)
        assert (np.abs(found).sum() > 0) == moves
