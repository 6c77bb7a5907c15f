"""Backbones: cost, strides, frozen parts."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn import config as configs
from lhrcnn.keras import keras
from lhrcnn.models.backbones.layers import ConvNorm
from lhrcnn.models.backbones.mobilenet import mobilenet_v2
from lhrcnn.models.backbones.xception import xception
from lhrcnn.models.build import build_backbone
from lhrcnn.training.pretrain_models import classifier


def multiply_adds(model, size):
    """Multiply-adds of all convolutions and dense layers for one image of size x size."""
    layers = [layer for layer in model.layers if isinstance(layer, (ConvNorm, keras.layers.Dense))]
    outputs = keras.Model(model.input, [layer.output for layer in layers])(
        tf.zeros([1, size, size, 3])
    )
    return sum(
        int(np.prod(output.shape[1:-1])) * int(np.prod(layer.weights[0].shape))
        for layer, output in zip(layers, outputs)
    )


def test_xception_costs_what_table_7_states():
    model = classifier(xception(configs.BackboneConfig(out_stride=32)), 1000)
    assert 143e6 <= multiply_adds(model, 224) <= 148e6
    assert model(tf.zeros([1, 224, 224, 3])).shape == (1, 1000)


@pytest.mark.parametrize(
    "make, channels",
    [
        (xception, {"c3": 144, "c4": 288, "c5": 576}),
        (mobilenet_v2, {"c2": 24, "c3": 32, "c4": 96, "c5": 320}),
    ],
)
@pytest.mark.parametrize("out_stride", [16, 32])
def test_maps_have_the_promised_strides_and_channels(make, channels, out_stride):
    backbone = make(configs.BackboneConfig(out_stride=out_stride))
    maps = backbone.model(tf.zeros([2, 64, 96, 3]))
    assert set(maps) == set(backbone.strides) == set(channels)
    for name, stride in backbone.strides.items():
        assert maps[name].shape == (2, 64 // stride, 96 // stride, channels[name])
    assert backbone.strides["c5"] == out_stride


def test_mobilenets_top_convolution_is_its_last_map():
    maps = mobilenet_v2(configs.BackboneConfig(top_conv=True, width=0.25)).model(
        tf.zeros([1, 64, 96, 3])
    )
    assert maps["c4"].shape == (1, 4, 6, 24) and maps["c5"].shape == (1, 4, 6, 1280)
    wide = mobilenet_v2(configs.BackboneConfig(top_conv=True, width=1.4, out_stride=32)).model(
        tf.zeros([1, 64, 96, 3])
    )
    assert wide["c5"].shape == (1, 2, 3, 1792)


@pytest.mark.parametrize("name", ["mobilenet_v2", "xception", "vgg16", "resnet50"])
def test_an_enlarged_image_gives_the_maps_of_one_twice_as_large(name, rng):
    plain, enlarged = (
        build_backbone(configs.BackboneConfig(name=name, width=0.25, enlarge=factor))
        for factor in (1, 2)
    )
    enlarged.model.set_weights(plain.model.get_weights())
    small = rng.normal(size=[1, 32, 48, 3]).astype(np.float32)
    large = tf.image.resize(small, [64, 96])
    expected, maps = plain.model(large), enlarged.model(small)
    assert set(maps) == set(expected) == set(enlarged.strides)
    for level, stride in enlarged.strides.items():
        np.testing.assert_allclose(maps[level], expected[level], atol=1e-5)
        assert (
            maps[level].shape[1:3] == (32 // stride, 48 // stride)
            and 2 * stride == plain.strides[level]
        )


def test_the_small_detector_does_not_dilate():
    for make in (xception, mobilenet_v2):
        model = make(configs.BackboneConfig(out_stride=16)).model
        rates = [layer.dilation for layer in model.layers if isinstance(layer, ConvNorm)]
        assert len(rates) > 40 and set(rates) == {1}


def test_dilated_last_stage_is_that_of_stride_32_at_every_second_cell():
    image = tf.random.stateless_uniform([1, 96, 160, 3], [0, 0])
    strided, dilated = (
        mobilenet_v2(configs.BackboneConfig(out_stride=stride, dilation=2, width=0.25)).model
        for stride in (32, 16)
    )
    dilated.set_weights(strided.get_weights())
    np.testing.assert_allclose(dilated(image)["c5"][:, ::2, ::2], strided(image)["c5"], atol=1e-5)


GRAPHS_AGREE = """
import tensorflow as tf
from lhrcnn import config as configs
from lhrcnn.models.build import build_backbone

for name in ("xception", "mobilenet_v2", "mobilenet_v3_large"):
    model = build_backbone(configs.BackboneConfig(name=name, width=0.25, batch_norm="affine")).model

    @tf.function
    def gradients(x):
        with tf.GradientTape() as tape:
            y = tf.reduce_mean(model(x, training=True)["c5"] ** 2)
        return y, *tape.gradient(y, model.trainable_variables)

    x = tf.random.stateless_uniform([2, 48, 64, 3], [1, 2])
    in_graph = gradients(x)
    tf.config.run_functions_eagerly(True)
    for first, second in zip(in_graph, gradients(x)):
        atol = 1e-3 * float(tf.reduce_max(tf.abs(second))) + 1e-9
        tf.debugging.assert_near(first, second, rtol=1e-3, atol=atol)
    tf.config.run_functions_eagerly(False)
print("agree")
"""


def test_graphs_compute_what_eager_calls_do_with_onednn():
    """oneDNN fuses layers of a graph, on some processors by itself, and aborts the process on what
    it cannot do."""
    result = subprocess.run(
        [sys.executable, "-c", GRAPHS_AGREE],
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert result.returncode == 0 and result.stdout.strip() == "agree", result.stderr[-2000:]


@pytest.mark.parametrize("make", [xception, mobilenet_v2])
def test_any_image_size_works_even_one_pixel(make):
    maps = make(configs.BackboneConfig(width=0.25)).model(tf.zeros([1, 1, 1, 3]))
    assert all(np.isfinite(m).all() and m.shape[1:3] == (1, 1) for m in maps.values())


def test_frozen_batch_norm_neither_trains_nor_moves():
    model = xception(configs.BackboneConfig(width=0.25, batch_norm="frozen")).model
    assert not any("norm" in variable.name for variable in model.trainable_variables)
    before = [w.numpy() for w in model.non_trainable_weights]
    x = tf.random.stateless_normal([2, 64, 64, 3], [1, 2]) * 9
    np.testing.assert_array_equal(model(x, training=True)["c5"], model(x, training=False)["c5"])
    for old, new in zip(before, model.non_trainable_weights):
        np.testing.assert_array_equal(old, new)


def test_trained_batch_norm_moves():
    model = xception(configs.BackboneConfig(width=0.25)).model
    before = [w.numpy() for w in model.non_trainable_weights]
    model(tf.random.stateless_normal([2, 64, 64, 3], [1, 2]) * 9, training=True)
    assert any((old != new.numpy()).any() for old, new in zip(before, model.non_trainable_weights))


@pytest.mark.parametrize(
    "make, stages, frozen, trained",
    [
        (xception, 2, "c3_4_expand/kernel", "c4_1_reduce/kernel"),
        (mobilenet_v2, 3, "block2_project/kernel", "block3_expand/kernel"),
    ],
)
def test_frozen_stages(make, stages, frozen, trained):
    backbone = make(configs.BackboneConfig(width=0.25))
    backbone.freeze(stages)
    names = [variable.name.split(":")[0] for variable in backbone.model.trainable_variables]
    assert frozen not in names and trained in names


@pytest.mark.parametrize("make", [xception, mobilenet_v2])
def test_stride_two_samples_symmetrically(make):
    """An image and its mirror image give mirrored maps: no half-pixel drift from one-sided
    padding."""
    model = make(configs.BackboneConfig(width=0.35)).model
    x = tf.random.stateless_normal([1, 65, 65, 3], [3, 4])
    mirrored = make(configs.BackboneConfig(width=0.35)).model
    mirrored.set_weights([w[:, ::-1] if w.ndim == 4 else w for w in model.get_weights()])
    np.testing.assert_allclose(model(x)["c4"][:, :, ::-1], mirrored(x[:, :, ::-1])["c4"], atol=1e-4)
