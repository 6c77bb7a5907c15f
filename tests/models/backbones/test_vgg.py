"""VGG16: size, strides, frozen stages."""

import numpy as np
import tensorflow as tf

from lhrcnn import config as configs
from lhrcnn.models.backbones.vgg import vgg16


def test_parameters_and_names():
    model = vgg16(configs.BackboneConfig(name="vgg16")).model
    assert model.count_params() == 14_714_688  # torchvision's vgg16().features
    names = [layer.name for layer in model.layers if layer.weights]
    assert names == [
        f"conv{block}_{i}"
        for block, number in enumerate((2, 2, 3, 3, 3), 1)
        for i in range(1, number + 1)
    ]
    assert [variable.name for variable in model.weights[:2]] == [
        "conv1_1/kernel:0",
        "conv1_1/bias:0",
    ]


def test_maps_are_rectified_and_have_the_promised_strides():
    backbone = vgg16(configs.BackboneConfig(name="vgg16", width=1 / 16))
    maps = backbone.model(tf.random.stateless_normal([2, 65, 96, 3], [1, 2]))
    assert {name: tuple(value.shape) for name, value in maps.items()} == {
        "c3": (2, 16, 24, 16),
        "c4": (2, 8, 12, 32),
        "c5": (2, 4, 6, 32),
    }
    assert backbone.strides == {"c3": 4, "c4": 8, "c5": 16}
    assert all(value.numpy().min() == 0 < value.numpy().max() for value in maps.values())
    assert not [layer for layer in backbone.model.layers if layer.name == "pool5"]


def test_one_pixel_is_enough():
    maps = vgg16(configs.BackboneConfig(name="vgg16", width=1 / 16)).model(tf.ones([1, 1, 1, 3]))
    assert {name: tuple(value.shape[1:3]) for name, value in maps.items()} == {
        "c3": (4, 4),
        "c4": (2, 2),
        "c5": (1, 1),
    }
    assert all(np.isfinite(value).all() for value in maps.values())


def test_frozen_stages_and_gradients():
    backbone = vgg16(configs.BackboneConfig(name="vgg16", width=1 / 16))
    backbone.freeze(2)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(
            backbone.model(tf.random.stateless_normal([1, 32, 32, 3], [1, 2]))["c5"]
        )
    variables = backbone.model.trainable_variables
    assert {variable.name.split("_")[0] for variable in variables} == {"conv3", "conv4", "conv5"}
    assert all(np.abs(gradient).max() > 0 for gradient in tape.gradient(loss, variables))
