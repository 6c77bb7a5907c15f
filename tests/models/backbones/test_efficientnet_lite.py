"""EfficientNet-Lite: its architecture, weights of the PyTorch models, what detection changes."""

import numpy as np
import pytest
import tensorflow as tf
from reference import efficientnet_lite as reference

from lhrcnn import config as configs
from lhrcnn.errors import CheckpointError
from lhrcnn.models.backbones.layers import ConvNorm
from lhrcnn.models.build import arithmetic, build_backbone, build_detector
from lhrcnn.runs.backbone import load_backbone
from lhrcnn.training.pretrain_models import classifier


def backbone_of(name, **options):
    return build_backbone(configs.BackboneConfig(name=name, **{"out_stride": 32, **options}))


@pytest.fixture
def from_file(tiny_config, tmp_path):
    """A function (name, state dict, overrides) -> a detector with the backbone of such a file."""

    def make(name, state, *overrides):
        np.savez(tmp_path / "weights.npz", **state)
        config = tiny_config(
            f"model.backbone.name={name}",
            "model.backbone.width=1",
            "model.backbone.out_stride=32",
            f"model.backbone.weights={tmp_path / 'weights.npz'}",
            *overrides,
        )
        detector = build_detector(config, 3)
        load_backbone(detector, config.model)
        return detector

    return make


@pytest.mark.parametrize("name", reference.NETWORKS)
@pytest.mark.parametrize("top_conv, last", [("false", "c5"), ("true", "top")])
def test_weights_of_pytorch_give_its_maps(name, top_conv, last, from_file, rng):
    """On sides of 2^n + 1 px padding on both sides and TensorFlow's SAME agree."""
    state = reference.state_dict(name, rng)
    detector = from_file(name, state, f"model.backbone.top_conv={top_conv}")
    pixels = rng.integers(0, 256, [2, 33, 65, 3]).astype(np.uint8)
    found = detector.backbone(
        detector.preprocess(tf.constant(pixels), tf.constant([[33.0, 65.0]] * 2))
    )
    expected = reference.maps(name, state, pixels.astype(np.float64))
    for level, theirs in (("c2", "c2"), ("c3", "c3"), ("c4", "c4"), ("c5", last)):
        right = expected[theirs]
        np.testing.assert_allclose(found[level], right, atol=2e-4 * right.std(), err_msg=level)


def test_a_network_of_another_size_is_refused(from_file, rng):
    with pytest.raises(
        CheckpointError,
        match=r"_blocks.3._bn2.bias: \[24\] does not make backbone/block4_project_norm",
    ):
        from_file("efficientnet_lite0", reference.state_dict("efficientnet_lite1", rng))


@pytest.mark.parametrize(
    "name, millions",
    [("efficientnet_lite0", 4.652), ("efficientnet_lite1", 5.417), ("efficientnet_lite2", 6.092)],
)
def test_published_number_of_parameters(name, millions):
    """As the table of the TensorFlow repository's efficientnet/lite rounds them."""
    model = classifier(backbone_of(name, top_conv=True), 1000)
    assert sum(np.prod(v.shape) for v in model.trainable_variables) == pytest.approx(
        millions * 1e6, rel=1e-3
    )


@pytest.mark.parametrize(
    "name, channels",
    [("efficientnet_lite0", (24, 40, 112, 320)), ("efficientnet_lite2", (24, 48, 120, 352))],
)
@pytest.mark.parametrize("out_stride", [16, 32])
def test_maps_have_the_promised_strides_and_channels(name, channels, out_stride):
    backbone = backbone_of(name, out_stride=out_stride)
    maps = backbone.model(tf.zeros([2, 64, 96, 3]))
    assert backbone.strides == {"c2": 4, "c3": 8, "c4": 16, "c5": out_stride}
    assert {level: tuple(m.shape) for level, m in maps.items()} == {
        level: (2, 64 // stride, 96 // stride, depth)
        for (level, stride), depth in zip(backbone.strides.items(), channels)
    }


def test_dilated_last_stage_is_that_of_stride_32_at_every_second_cell(rng):
    strided, dilated = (
        backbone_of("efficientnet_lite0", width=0.25, out_stride=stride, dilation=2).model
        for stride in (32, 16)
    )
    dilated.set_weights(strided.get_weights())
    image = rng.normal(size=[1, 96, 160, 3]).astype(np.float32)
    np.testing.assert_allclose(dilated(image)["c5"][:, ::2, ::2], strided(image)["c5"], atol=1e-5)
    assert {
        layer.dilation
        for layer in backbone_of("efficientnet_lite0", out_stride=16).model.layers
        if isinstance(layer, ConvNorm)
    } == {1}


def test_an_enlarged_image_gives_the_maps_of_one_twice_as_large(rng):
    plain, enlarged = (
        backbone_of("efficientnet_lite1", width=0.25, enlarge=factor) for factor in (1, 2)
    )
    enlarged.model.set_weights(plain.model.get_weights())
    small = rng.normal(size=[1, 32, 48, 3]).astype(np.float32)
    expected, maps = plain.model(tf.image.resize(small, [64, 96])), enlarged.model(small)
    for level, stride in enlarged.strides.items():
        np.testing.assert_allclose(maps[level], expected[level], atol=1e-5)
        assert 2 * stride == plain.strides[level]


@pytest.mark.parametrize("name, stages", [("efficientnet_lite0", 4), ("efficientnet_lite1", 5)])
def test_frozen_stages_are_blocks(name, stages):
    backbone = backbone_of(name, width=0.25)
    backbone.freeze(stages)
    names = {variable.name.split("/")[0] for variable in backbone.model.trainable_variables}
    assert f"block{stages - 1}_project" not in names and f"block{stages}_expand" in names
    assert backbone.model.get_layer(f"block{stages}_depthwise").size == 5, "c2 ends where they do"


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_gradients_are_finite_at_any_size(precision, rng):
    with arithmetic(precision):
        model = backbone_of(
            "efficientnet_lite0", width=0.25, out_stride=16, dilation=2, batch_norm="frozen"
        ).model

    @tf.function
    def gradients(image):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.cast(model(image, training=True)["c5"], tf.float32) ** 2)
        return tape.gradient(loss, model.trainable_variables)

    for sides in ((1, 1), (47, 66)):
        assert all(
            np.isfinite(g).all()
            for g in gradients(tf.constant(rng.normal(size=[2, *sides, 3]), tf.float32))
        )
