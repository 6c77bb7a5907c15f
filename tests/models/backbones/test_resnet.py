"""ResNets: size, place of strides, dilation, last stage on its own, frozen stages."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn import config as configs
from lhrcnn.keras import keras
from lhrcnn.models.backbones import grouped_convolution
from lhrcnn.models.backbones import resnet as module
from lhrcnn.models.backbones.layers import ConvNorm
from lhrcnn.models.backbones.resnet import resnet, stage5


@pytest.fixture
def small(monkeypatch):
    """A function (options) -> BackboneConfig of a ResNet with two units a stage, or a ResNeXt with
    one, a sixteenth as wide."""
    monkeypatch.setitem(module.ARCHITECTURES, "resnet50", module.Architecture((2, 2, 2, 2)))
    monkeypatch.setitem(
        module.ARCHITECTURES, "resnext101_32x4d", module.Architecture((1, 1, 1, 1), 4, 16)
    )
    return lambda **options: configs.BackboneConfig(
        **{"name": "resnet50", "width": 1 / 16, "out_stride": 32, **options}
    )


@pytest.fixture
def image():
    return tf.random.stateless_normal([1, 75, 98, 3], [1, 2])


def randomise(model):
    """Gives batch norm statistics and factors that matter."""
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if "norm" in variable.name:
            variable.assign(rng.uniform(0.5, 1, variable.shape))


def strided_or_dilated(model):
    """{name: (strides, dilation)} of the convolutions where they are not both 1."""
    layers = {
        layer.name: (layer.strides, layer.dilation)
        for layer in model.layers
        if isinstance(layer, ConvNorm)
    }
    return {name: values for name, values in layers.items() if values != (1, 1)}


@pytest.mark.parametrize(
    "name, parameters",
    [("resnet50", 23_508_032), ("resnet101", 42_500_160), ("resnext101_64x4d", 81_406_272)],
)
def test_as_many_parameters_as_torchvision_has_without_its_classifier(
    monkeypatch, name, parameters
):
    monkeypatch.setattr(grouped_convolution, "MERGED_CHANNELS", 4096)  # built sooner
    model = resnet(configs.BackboneConfig(name=name)).model
    assert sum(int(np.prod(variable.shape)) for variable in model.trainable_variables) == parameters


@pytest.mark.parametrize(
    "name, channels",
    [
        ("resnet50", [64, 64, 64, 256, 256]),
        ("resnext101_32x4d", [64, 128, 128, 256, 256]),
        ("resnext101_64x4d", [64, 256, 256, 256, 256]),
        ("resnext101_32x8d", [64, 256, 256, 256, 256]),
    ],
)
def test_channels_of_the_first_unit(monkeypatch, name, channels):
    monkeypatch.setitem(
        module.ARCHITECTURES,
        name,
        dataclasses.replace(module.ARCHITECTURES[name], units=(1, 1, 1, 1)),
    )
    model = resnet(configs.BackboneConfig(name=name)).model
    kernels = [
        model.get_layer(layer).weights[0]
        for layer in ("stem", "c2_1_reduce", "c2_1_conv", "c2_1_expand", "c2_1_shortcut")
    ]
    assert [kernel.shape[-1] for kernel in kernels] == channels
    assert kernels[2].shape[2] == channels[2] // module.ARCHITECTURES[name].groups
    assert model.get_layer("c5_1_conv").weights[0].shape[-1] == 8 * channels[2]


@pytest.mark.parametrize(
    "name, style, out_stride, dilation",
    [
        ("resnet50", "pytorch", 16, 1),
        ("resnet50", "pytorch", 16, 2),
        ("resnet50", "pytorch", 32, 2),
        ("resnet50", "caffe", 16, 2),
        ("resnet50", "caffe", 32, 1),
        ("resnext101_32x4d", "pytorch", 16, 2),
    ],
)
def test_maps_strides_and_dilation(small, image, name, style, out_stride, dilation):
    backbone = resnet(small(name=name, style=style, out_stride=out_stride, dilation=dilation))
    maps = backbone.model(image)
    assert list(maps) == list(backbone.strides) == ["c2", "c3", "c4", "c5"]
    assert backbone.strides == {"c2": 4, "c3": 8, "c4": 16, "c5": out_stride}
    for channels, (level, stride) in zip((16, 32, 64, 128), backbone.strides.items()):
        assert maps[level].shape == (1, -(-75 // stride), -(-98 // stride), channels)
    part = {"pytorch": "conv", "caffe": "reduce"}[style]
    expected = {"stem": (2, 1)}
    for level in ("c3", "c4", "c5") if out_stride == 32 else ("c3", "c4"):
        expected.update({f"{level}_1_{part}": (2, 1), f"{level}_1_shortcut": (2, 1)})
    if (out_stride, dilation) == (16, 2):
        expected.update(
            {f"c5_{unit + 1}_conv": (1, 2) for unit in range(module.ARCHITECTURES[name].units[3])}
        )
    assert strided_or_dilated(backbone.model) == expected


def test_dilation_only_widens_the_windows_of_the_last_stage(small, image):
    plain, dilated = (resnet(small(out_stride=16, dilation=dilation)).model for dilation in (1, 2))
    dilated.set_weights(plain.get_weights())
    plain, dilated = plain(image), dilated(image)
    np.testing.assert_array_equal(plain["c4"], dilated["c4"])
    assert np.abs(plain["c5"] - dilated["c5"]).max() > 1e-3


@pytest.mark.parametrize("style", ["pytorch", "caffe"])
def test_c4_and_stage5_compose_to_the_whole_network(small, image, style):
    whole = resnet(small(style=style)).model
    randomise(whole)
    trunk = resnet(small(style=style, last_level="c4"))
    last = stage5(small(style=style, last_level="c4"))
    assert list(trunk.stages) == ["stem", "c2", "c3", "c4"] and list(trunk.strides) == [
        "c2",
        "c3",
        "c4",
    ]
    weights = {variable.name: variable for variable in whole.weights}
    for variable in trunk.model.weights + last.weights:
        variable.assign(weights.pop(variable.name))
    assert not weights
    np.testing.assert_allclose(last(trunk.model(image)["c4"]), whole(image)["c5"], atol=1e-5)
    assert last(tf.zeros([3, 14, 14, 64])).shape == (3, 7, 7, 128)


def test_a_unit_adds_its_input(small, image):
    model = resnet(small()).model
    for variable in model.weights:
        if "expand_norm/gamma" in variable.name:
            variable.assign(tf.zeros_like(variable))
    projected, c2 = keras.Model(
        model.input, [model.get_layer("c2_1_shortcut").output, model.output["c2"]]
    )(image)
    np.testing.assert_array_equal(c2, np.maximum(projected, 0))  # the second unit has no projection


@pytest.mark.parametrize("stem_pool, largest", [("symmetric", [1, 3, 5]), ("same", [2, 4, 5])])
def test_padding_of_the_pool(small, stem_pool, largest):
    model = resnet(small(stem_pool=stem_pool)).model
    pool = keras.Model(model.get_layer("stem_relu").output, model.get_layer("stem_pool").output)
    values = np.arange(36, dtype=np.float32).reshape(6, 6)
    np.testing.assert_array_equal(
        pool(values[None, :, :, None].repeat(4, -1))[0, :, :, 0], values[np.ix_(largest, largest)]
    )


@pytest.mark.parametrize("name", ["resnet50", "resnext101_32x4d"])
def test_frozen_stages_and_batch_norm(small, image, name):
    backbone = resnet(small(name=name, batch_norm="frozen"))
    backbone.freeze(2)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(backbone.model(image, training=True)["c5"] ** 2)
    variables = backbone.model.trainable_variables
    assert {variable.name.split("_")[0] for variable in variables} == {"c3", "c4", "c5"}
    assert {variable.name.split("/")[1] for variable in variables} == {"kernel:0"}
    for variable, gradient in zip(variables, tape.gradient(loss, variables)):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, variable.name


@pytest.mark.parametrize("name", ["resnet50", "resnext101_32x4d"])
def test_one_pixel_is_enough(small, name):
    maps = resnet(small(name=name)).model(tf.ones([1, 1, 1, 3]))
    assert all(value.shape[1:3] == (1, 1) and np.isfinite(value).all() for value in maps.values())
