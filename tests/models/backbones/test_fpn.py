"""Feature pyramid: values, levels, initialisation, gradients, exports."""

import numpy as np
import pytest
import tensorflow as tf
from reference import convolution as twin

from lhrcnn import config as configs
from lhrcnn.errors import ConfigError
from lhrcnn.keras import keras
from lhrcnn.models.backbones.fpn import NearestUpSampling, with_fpn
from lhrcnn.models.backbones.mobilenet import mobilenet_v2
from lhrcnn.models.backbones.vgg import vgg16
from lhrcnn.models.parts import Backbone


@pytest.fixture
def bare():
    """A function (channels, names) -> backbone whose maps, c2... unless named, are its inputs."""

    def make(channels, names=("c2", "c3", "c4", "c5")):
        maps = {name: keras.Input([None, None, number]) for name, number in zip(names, channels)}
        return Backbone(
            maps,
            maps,
            {name: 4 * 2**i for i, name in enumerate(maps)},
            (1, 2, 3),
            (4, 5, 6),
            {"stem": maps},
        )

    return make


def test_the_extra_level_is_named_after_the_last_one(bare):
    options = configs.FPNConfig(channels=6, levels=["c4", "c5_1"])
    strides = with_fpn(bare([3, 4], ["c4", "c5_1"]), options).strides
    assert strides == {"c4": 4, "c5_1": 8, "p4": 4, "p5_1": 8, "p6": 16}


@pytest.mark.parametrize("name", ["res4", "block4", "c10"])
def test_maps_whose_names_make_no_names_of_levels_are_refused(bare, name):
    options = configs.FPNConfig(channels=6, levels=[name])
    with pytest.raises(ConfigError, match=f"'model.fpn.levels': found '{name}'; .* calls c2, c3"):
        with_fpn(bare([3], [name]), options)


@pytest.mark.parametrize(
    "sizes",
    [
        [(16, 24), (8, 12), (4, 6)],
        [(13, 9), (7, 5), (4, 3)],
        [(1, 1), (1, 1), (1, 1)],
        [(11, 7), (5, 3), (2, 1)],
        [(8, 6), (4, 3), (4, 3)],
    ],
)
def test_equals_the_twin_also_for_odd_sizes(rng, bare, sizes):
    pyramid = with_fpn(bare([3, 4, 5]), configs.FPNConfig(channels=6, levels=["c2", "c3", "c4"]))
    for variable in pyramid.model.weights:
        variable.assign(rng.normal(size=variable.shape))
    weights = {variable.name.split(":")[0]: variable.numpy() for variable in pyramid.model.weights}
    maps = [
        rng.normal(size=[2, *size, channels]).astype(np.float32)
        for size, channels in zip(sizes, (3, 4, 5))
    ]
    laterals, outputs = (
        [(weights[f"fpn_{kind}{i}/kernel"], weights[f"fpn_{kind}{i}/bias"]) for i in (2, 3, 4)]
        for kind in ("lateral_c", "output_p")
    )
    expected = twin.feature_pyramid(maps, laterals, outputs)
    actual = pyramid.model(dict(zip(("c2", "c3", "c4"), maps)))
    assert list(actual) == list(pyramid.strides) == ["c2", "c3", "c4", "p2", "p3", "p4", "p5"]
    np.testing.assert_array_equal(actual["c3"], maps[1])
    for name, level in zip(("p2", "p3", "p4"), expected):
        np.testing.assert_allclose(actual[name], level, atol=1e-4)
    np.testing.assert_array_equal(actual["p5"], actual["p4"][:, ::2, ::2])


@pytest.mark.parametrize(
    "size, fine", [((25, 25), (49, 50)), ((3, 4), (7, 9)), ((5, 2), (5, 2)), ((1, 1), (2, 3))]
)
def test_nearest_up_sampling(rng, size, fine):
    x = rng.normal(size=[2, *size, 3]).astype(np.float32)
    np.testing.assert_array_equal(
        NearestUpSampling()([x, tf.zeros([2, *fine, 8])]), twin.nearest(x, *fine)
    )


def test_levels_strides_and_preprocessing(bare):
    backbone = bare([3, 4, 5, 6])
    pyramid = with_fpn(backbone, configs.FPNConfig(channels=8))
    assert pyramid.strides == {**backbone.strides, "p2": 4, "p3": 8, "p4": 16, "p5": 32, "p6": 64}
    assert (pyramid.pixel_mean, pyramid.pixel_std, tuple(pyramid.stages)) == (
        (1, 2, 3),
        (4, 5, 6),
        ("stem", "fpn"),
    )
    assert {variable.name for variable in pyramid.model.weights} == {
        f"fpn_{layer}{level}/{role}:0"
        for layer in ("lateral_c", "output_p")
        for level in range(2, 6)
        for role in ("kernel", "bias")
    }
    fewer = with_fpn(
        backbone, configs.FPNConfig(channels=8, levels=["c3", "c5"], extra_level=False)
    )
    assert fewer.strides == {**backbone.strides, "p3": 8, "p5": 32} and list(
        fewer.model.output
    ) == [*backbone.strides, "p3", "p5"]


def test_batch_norm_makes_up_for_maps_of_any_size(rng, bare):
    pyramid = with_fpn(
        bare([3, 4, 5]), configs.FPNConfig(channels=6, levels=["c2", "c3", "c4"], batch_norm=True)
    )
    maps = {
        f"c{i}": (scale * rng.normal(size=[2, 64 >> i, 48 >> i, i + 1])).astype(np.float32)
        for i, scale in ((2, 1e3), (3, 1), (4, 30))
    }
    found = pyramid.model(maps, training=True)
    for name in ("p2", "p3", "p4"):
        np.testing.assert_allclose(tf.reduce_mean(found[name], [0, 1, 2]), np.zeros(6), atol=1e-3)
        np.testing.assert_allclose(
            tf.math.reduce_std(found[name], [0, 1, 2]), np.ones(6), atol=1e-2
        )
    names = [variable.name for variable in pyramid.model.trainable_weights]
    assert "fpn_lateral_c2_norm/gamma:0" in names and not [name for name in names if "bias" in name]
    pyramid.freeze(2)
    assert not pyramid.model.trainable_weights


def test_xavier_uniform_kernels_and_zero_biases(bare):
    pyramid = with_fpn(bare([64, 64, 64, 64]), configs.FPNConfig(channels=64))
    weights = {variable.name: variable.numpy() for variable in pyramid.model.weights}
    for name, limit in (
        ("fpn_lateral_c3/kernel:0", np.sqrt(6 / 128)),
        ("fpn_output_p3/kernel:0", np.sqrt(6 / (9 * 128))),
    ):
        assert 0.98 * limit < np.abs(weights[name]).max() <= limit * 1.0001
        np.testing.assert_allclose(weights[name].std(), limit / np.sqrt(3), rtol=0.05)
    assert all((array == 0).all() for name, array in weights.items() if "bias" in name)


@pytest.mark.parametrize(
    "make, levels, height, width",
    [(mobilenet_v2, ["c2", "c3", "c4", "c5"], 70, 45), (vgg16, ["c3", "c4", "c5"], 80, 48)],
)
def test_on_a_backbone_gradients_reach_every_variable(make, levels, height, width):
    backbone = make(configs.BackboneConfig(width=0.25, out_stride=32))
    pyramid = with_fpn(backbone, configs.FPNConfig(channels=8, levels=levels))
    pyramid.freeze(1)
    with tf.GradientTape() as tape:
        maps = pyramid.model(tf.random.stateless_normal([1, height, width, 3], [1, 2]))
        maps = {name: value for name, value in maps.items() if name.startswith("p")}
        loss = tf.add_n([tf.reduce_mean(value**2) for value in maps.values()])
    variables = pyramid.model.trainable_variables
    assert not any(
        variable.name.startswith(next(iter(backbone.stages)) + "_") for variable in variables
    )
    for variable, gradient in zip(variables, tape.gradient(loss, variables)):
        assert np.abs(gradient).max() > 0, variable.name
    for name, value in maps.items():
        assert value.shape == (
            1,
            -(-height // pyramid.strides[name]),
            -(-width // pyramid.strides[name]),
            8,
        )


def test_exports_with_unknown_sizes(rng, bare, tmp_path):
    module = tf.Module()
    module.model = with_fpn(bare([3, 4]), configs.FPNConfig(channels=5, levels=["c2", "c3"])).model
    signature = {
        name: tf.TensorSpec([None, None, None, channels])
        for name, channels in (("c2", 3), ("c3", 4))
    }
    module.run = tf.function(module.model, input_signature=[signature])
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for fine, coarse in (([1, 7, 10, 3], [1, 4, 5, 4]), ([2, 1, 2, 3], [2, 1, 1, 4])):
        maps = {
            "c2": rng.normal(size=fine).astype(np.float32),
            "c3": rng.normal(size=coarse).astype(np.float32),
        }
        expected = module.model(maps)
        for name, value in loaded.run(maps).items():
            np.testing.assert_allclose(value, expected[name], atol=1e-5)


def test_up_sampling_keeps_half_precision_and_has_a_gradient(rng):
    x = tf.constant(rng.normal(size=[1, 2, 3, 4]), tf.bfloat16)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = NearestUpSampling(dtype="mixed_bfloat16")([x, tf.zeros([1, 4, 5, 4], tf.bfloat16)])
    assert y.dtype == tf.bfloat16 and np.abs(tf.cast(tape.gradient(y, x), tf.float32)).min() >= 1
