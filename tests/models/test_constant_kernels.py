"""Kernels as constants: the same detections, from graphs that read no kernel of a convolution."""

import numpy as np
import pytest
import tensorflow as tf
from tiny import TINY

from lhrcnn import config
from lhrcnn.keras import keras
from lhrcnn.models import constant_kernels as module
from lhrcnn.models.build import arithmetic, build_detector
from lhrcnn.models.constant_kernels import constant_kernels


@pytest.fixture(scope="module", params=["float32", "mixed_bfloat16"])
def detector(request):
    keras.utils.set_random_seed(0)
    backbone = ["model.backbone.name=mobilenet_v3_large", "model.head.levels=[c5]"]
    with arithmetic(request.param):
        detector = build_detector(config.load(None, [*TINY, *backbone]), 3)
    detector.fold()
    return detector


@pytest.fixture
def inputs(random_batch):
    batch = random_batch(1)
    return batch["image"], batch["image_size"]


def kernels(function, inputs):
    """How many constants of a graph are kernels of convolutions."""
    operations = function.get_concrete_function(*inputs).graph.get_operations()
    return sum(op.type == "Const" and op.outputs[0].shape.rank == 4 for op in operations)


def test_detections_are_the_same(detector, inputs):
    plain, held = (
        tf.function(detector.detect),
        tf.function(constant_kernels(detector)(detector.detect)),
    )
    expected = plain(*inputs)
    for name, values in held(*inputs).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
    assert kernels(plain, inputs) == 0 and kernels(held, inputs) > 50


def test_graphs_traced_later_read_variables(detector, inputs):
    with constant_kernels(detector):
        pass
    assert kernels(tf.function(detector.detect), inputs) == 0


def test_large_detectors_keep_their_variables(detector, inputs, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 1 << 10)
    assert kernels(tf.function(constant_kernels(detector)(detector.detect)), inputs) == 0


def test_kernels_that_a_batch_norm_still_changes_are_none(tiny_config, inputs):
    detector = build_detector(tiny_config(), 3)
    plain, held = (
        tf.function(detector.detect),
        tf.function(constant_kernels(detector)(detector.detect)),
    )
    np.testing.assert_array_equal(held(*inputs)["scores"], plain(*inputs)["scores"])
    assert 0 < kernels(held, inputs) < 20
