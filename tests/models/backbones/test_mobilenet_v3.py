"""MobileNetV3-Large: its size, its parts, what detection changes. tests/test_golden.py compares it
with torchvision's."""

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn import config as configs
from lhrcnn.models.backbones import layers
from lhrcnn.models.backbones.mobilenet_v3 import _squeeze_and_excite, mobilenet_v3_large
from lhrcnn.models.build import arithmetic


def maps_of(image, **options):
    return mobilenet_v3_large(configs.BackboneConfig(**options)).model(image)


def test_it_has_the_parameters_of_torchvisions_without_the_classifier():
    model = mobilenet_v3_large(configs.BackboneConfig(top_conv=True)).model
    trained = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    assert trained == 5483032 - (960 * 1280 + 1280) - (1280 * 1000 + 1000)


@pytest.mark.parametrize("top_conv, last", [(False, 160), (True, 960)])
def test_maps(top_conv, last):
    backbone = mobilenet_v3_large(configs.BackboneConfig(out_stride=32, top_conv=top_conv))
    maps = backbone.model(tf.zeros([1, 64, 96, 3]))
    channels = {"c2": 24, "c3": 40, "c4": 112, "c5_1": 160, "c5": last}
    assert set(maps) == set(channels)
    for level, stride in backbone.strides.items():
        assert maps[level].shape == (1, 64 // stride, 96 // stride, channels[level])


def test_a_dilated_last_stage_is_that_of_stride_32_at_every_second_cell():
    """But for the mean over the whole map: squeeze-and-excite has nothing to say here."""
    image = tf.random.stateless_uniform([1, 96, 160, 3], [0, 0])
    strided, dilated = (
        mobilenet_v3_large(configs.BackboneConfig(out_stride=stride, dilation=2, width=0.25)).model
        for stride in (32, 16)
    )
    dilated.set_weights(
        [
            np.zeros_like(value)
            if "_squeeze" in variable.name or "_excite" in variable.name
            else value
            for variable, value in zip(strided.weights, strided.get_weights())
        ]
    )
    strided.set_weights(dilated.get_weights())
    np.testing.assert_allclose(dilated(image)["c5"][:, ::2, ::2], strided(image)["c5"], atol=1e-5)


def test_hard_swish():
    x = np.linspace(-5, 5, 41, dtype=np.float32)
    expected = x * np.clip(x + 3, 0, 6) / 6
    np.testing.assert_allclose(layers.HardSwish()(x), expected, atol=1e-6)


def test_squeeze_and_excite(rng):
    image = layers.keras.Input([None, None, 5])
    model = layers.keras.Model(image, _squeeze_and_excite(image, 8, "unit"))
    model.set_weights([rng.normal(size=value.shape) for value in model.get_weights()])
    squeeze, squeeze_bias, excite, excite_bias = model.get_weights()
    x = rng.normal(size=[2, 3, 4, 5]).astype(np.float32)
    squeezed = np.maximum(x.mean((1, 2)) @ squeeze[0, 0] + squeeze_bias, 0)
    factor = np.clip(squeezed @ excite[0, 0] + excite_bias + 3, 0, 6) / 6
    assert factor.min() < 0.2 and factor.max() > 0.8
    np.testing.assert_allclose(model(x), x * factor[:, None, None], atol=1e-5)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_squeeze_and_excite_of_a_large_map_in_16_bits(rng, precision):
    """The map of stride 8 of an image of 768 px, whose sum no 16 bits hold."""
    with arithmetic(precision):
        image = layers.keras.Input([None, None, 5])
        x = _squeeze_and_excite(image, 8, "unit")
        model = layers.keras.Model(image, [x, layers.keras.layers.Activation("linear")(image)])
    squeeze = rng.uniform(0, 0.1, [1, 1, 5, 8]), np.zeros(8)
    excite = rng.uniform(-0.5, 0.5, [1, 1, 8, 5]), np.zeros(5)
    model.set_weights([*squeeze, *excite])
    values = rng.uniform(8, 10, [1, 96, 96, 5]).astype(np.float32)
    squeezed = values.mean((1, 2)) @ squeeze[0][0, 0]
    factor = np.clip(squeezed @ excite[0][0, 0] + 3, 0, 6) / 6
    assert np.ptp(factor) > 0.1
    found, unchanged = (np.asarray(tf.cast(output, tf.float32)) for output in model(values))
    np.testing.assert_allclose(found / unchanged, np.ones_like(values) * factor, atol=0.02)


def test_any_image_size_works_even_one_pixel():
    for level, values in maps_of(tf.zeros([1, 1, 1, 3]), width=0.25).items():
        assert values.shape[1:3] == (1, 1) and np.isfinite(values).all(), level


def test_frozen_stages_are_blocks():
    backbone = mobilenet_v3_large(configs.BackboneConfig(width=0.25))
    backbone.freeze(7)
    trained = {variable.name.split("_")[0] for variable in backbone.model.trainable_variables}
    assert "block6" not in trained and "block7" in trained
