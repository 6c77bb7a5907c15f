"""Loading backbone weights by the option model.backbone.weights, and what is said about what did
not fit."""

import logging

import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from weights import foreign

from lhrcnn import config as configs
from lhrcnn.errors import CheckpointError
from lhrcnn.keras import keras
from lhrcnn.models import build
from lhrcnn.runs import backbone
from lhrcnn.weights import keras_applications

RESNET = ["model.backbone.name=resnet50", f"model.backbone.width={foreign.WIDTH}"]


def build_detector(config, num_classes):
    """A detector with the weights that its config asks for."""
    detector = build.build_detector(config, num_classes)
    if config.model.backbone.weights:
        backbone.load_backbone(detector, config.model)
    return detector


@pytest.fixture(scope="module")
def detectors():
    """{overrides: detector}, so that each is built once."""
    return {}


@pytest.fixture
def loaded(tiny_config, tmp_path, detectors):
    """A function (arrays, overrides) -> the variables, as arrays, of a detector that took its
    backbone from a file of these arrays."""

    def load(arrays, *overrides):
        np.savez(tmp_path / "weights.npz", **arrays)
        config = tiny_config(*overrides)
        if overrides not in detectors:
            detectors[overrides] = build_detector(config, 3)
        config = configs.changed(config, {"model.backbone.weights": str(tmp_path / "weights.npz")})
        backbone.load_backbone(detectors[overrides], config.model)
        variables = detectors[overrides].named_variables()
        return {name: variable.numpy() for name, variable in variables.items()}

    return load


def test_imagenet_mobilenet_fills_every_variable_with_the_right_values(shared, tiny_config, caplog):
    path = shared / "weights" / "mobilenet_v2_imagenet.npz"
    caplog.set_level(logging.INFO, "absl")
    detector = build_detector(
        tiny_config(
            "model.backbone.name=mobilenet_v2",
            "model.backbone.width=1.0",
            "model.backbone.top_conv=true",
            f"model.backbone.weights={path}",
        ),
        3,
    )
    variables, arrays = detector.named_variables(), np.load(path)
    own = [name for name in variables if name.startswith("backbone/")]
    assert f"{len(own)} of {len(own)} backbone variables restored" in caplog.text
    weight = arrays["features.0.0.weight"].transpose(2, 3, 1, 0)
    assert_allclose(variables["backbone/block0/kernel"], weight, rtol=1e-6)
    kernel = variables["backbone/block5_depthwise/depthwise_kernel"]
    assert_array_equal(kernel[:, :, 7, 0], arrays["features.5.conv.1.0.weight"][7, 0])
    for name, theirs in (
        ("block1_project/kernel", "features.1.conv.1.weight"),
        ("block18/kernel", "features.18.0.weight"),
    ):
        assert_array_equal(variables[f"backbone/{name}"][0, 0], arrays[theirs][:, :, 0, 0].T)
    for name, theirs in (
        ("block17_project_norm/moving_variance", "features.17.conv.3.running_var"),
        ("block18_norm/gamma", "features.18.1.weight"),
    ):
        assert_array_equal(variables[f"backbone/{name}"], arrays[theirs])


def test_imagenet_vgg16_is_turned_to_rgb(shared, tiny_config):
    path = shared / "weights" / "vgg16_imagenet_conv.npz"
    detector = build_detector(
        tiny_config(
            "model.backbone.name=vgg16",
            "model.backbone.width=1.0",
            f"model.backbone.weights={path}",
            "model.rpn.levels=[c5]",
        ),
        3,
    )
    variables, arrays = detector.named_variables(), np.load(path)
    first, last = (arrays[f"{name}/kernel"] for name in ("block1_conv1", "block5_conv3"))
    first, last = first.astype(np.float32), last.astype(np.float32)
    assert_array_equal(variables["backbone/conv1_1/kernel"], first[:, :, ::-1])
    assert_array_equal(variables["backbone/conv5_3/kernel"], last)
    bias = arrays["block1_conv1/bias"]
    assert_allclose(variables["backbone/conv1_1/bias"], bias, atol=1e-5)


def test_torchvision_resnet(loaded, rng):
    state = {**foreign.torch_resnet(rng), "fc.weight": np.zeros([10, 128]), "fc.bias": np.zeros(10)}
    variables = loaded(state, *RESNET)
    stem, conv = variables["backbone/stem/kernel"], variables["backbone/c4_6_conv/kernel"]
    assert_allclose(stem[2, 3, 1], state["conv1.weight"][:, 1, 2, 3], rtol=1e-6)
    assert_array_equal(conv[0, 1], state["layer3.5.conv2.weight"][:, :, 0, 1].T)
    gamma = variables["backbone/c3_1_shortcut_norm/gamma"]
    assert_array_equal(gamma, state["layer2.0.downsample.1.weight"])
    variance = variables["backbone/c5_3_expand_norm/moving_variance"]
    assert_array_equal(variance, state["layer4.2.bn3.running_var"])
    with pytest.raises(ValueError, match="set model.backbone.style=pytorch"):
        loaded(state, *RESNET, "model.backbone.style=caffe")


def test_torchvision_mobilenet_v3(loaded, rng):
    of_classifier = {f"classifier.{part}": np.zeros(9) for part in ("0.weight", "3.bias")}
    state = {**foreign.torch_mobilenet_v3(rng), **of_classifier}
    width = f"model.backbone.width={foreign.V3_WIDTH}"
    variables = loaded(state, "model.backbone.name=mobilenet_v3_large", width)
    bias = state["features.15.block.2.fc1.bias"]
    assert_array_equal(variables["backbone/block15_squeeze/bias"], bias)
    found = variables["backbone/block2_depthwise_norm/moving_variance"] + 1e-5
    wanted = state["features.2.block.1.1.running_var"] + 1e-3  # the classifier's epsilon
    assert_allclose(found, wanted, rtol=1e-6)


def test_last_stage_goes_to_the_head_that_runs_it(loaded, rng):
    state = foreign.torch_resnet(rng)
    variables = loaded(
        state,
        *RESNET,
        "model.backbone.last_level=c4",
        "model.head.kind=stage5",
        "model.head.levels=[c4]",
        "model.head.pool_size=4",
    )
    (kernel,) = (array for name, array in variables.items() if name.endswith("c5_1_reduce/kernel"))
    assert_array_equal(kernel[0, 0], state["layer4.0.conv1.weight"][:, :, 0, 0].T)
    assert not any(name.startswith("backbone/c5") for name in variables)


def test_slim_resnet(loaded, rng):
    state = foreign.slim_resnet(rng)
    variables = loaded(
        state,
        *RESNET,
        "model.backbone.pixel_mean=[123.68, 116.779, 103.939]",
        "model.backbone.pixel_std=[1, 1, 1]",
    )
    for name, theirs in (
        ("stem/kernel", "conv1/weights"),
        ("c4_2_conv/kernel", "block3/unit_2/bottleneck_v1/conv2/weights"),
        ("c2_1_shortcut_norm/beta", "block1/unit_1/bottleneck_v1/shortcut/BatchNorm/beta"),
    ):
        assert_array_equal(variables[f"backbone/{name}"], state[f"resnet_v1_50/{theirs}"])


def test_vgg16_fully_connected_layers(loaded, rng):
    """torchvision's fc6 and fc7 become the head's, inputs from channel, row, column to row, column,
    channel."""
    state, channels = {}, 3
    for index, out in zip(
        (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), (2, 2, 4, 4, 8, 8, 8, *[16] * 6)
    ):
        state[f"features.{index}.weight"] = foreign.normal(rng, out, channels, 3, 3)
        state[f"features.{index}.bias"] = foreign.normal(rng, out)
        channels = out
    for index, enter in ((0, 16 * 49), (3, 4096)):
        state[f"classifier.{index}.weight"] = foreign.normal(rng, 4096, enter)
        state[f"classifier.{index}.bias"] = foreign.normal(rng, 4096)
    state["classifier.6.weight"] = foreign.normal(rng, 10, 4096)
    model = ["model.backbone.name=vgg16", "model.backbone.width=0.03125", "model.rpn.levels=[c5]"]
    head = {"kind": "fc", "fc_layers": 2, "fc_channels": 4096, "pool_size": 7}
    variables = loaded(state, *model, *(f"model.head.{key}={value}" for key, value in head.items()))
    row, column, channel = 2, 5, 11
    found = variables["head/fc1/kernel"][(row * 7 + column) * 16 + channel]
    assert_array_equal(found, state["classifier.0.weight"][:, (channel * 7 + row) * 7 + column])
    assert_array_equal(variables["head/fc2/kernel"], state["classifier.3.weight"].T)
    loaded(state, *model)  # a light head has no place for them


def test_unknown_and_missing_tensors_are_named(loaded, rng):
    state = {**foreign.torch_resnet(rng), "layer4.2.attention.weight": np.zeros([2, 3])}
    del state["layer1.0.bn2.bias"]
    with pytest.raises(
        ValueError,
        match=r"2 tensors(.|\n)*layer1.0.bn2.bias: not in the checkpoint, needed for "
        r"backbone/c2_1_conv_norm/beta \[4\]"
        r"(.|\n)*layer4.2.attention.weight: \[2, 3\] in the checkpoint, unknown to this model",
    ):
        loaded(state, *RESNET)


def test_other_width_is_an_error_with_both_shapes(loaded, rng):
    with pytest.raises(
        ValueError,
        match=r"layer2.1.conv2.weight: \[8, 8, 3, 3\] does not make "
        r"backbone/c3_2_conv/kernel \[3, 3, 16, 16\]",
    ):
        loaded(foreign.torch_resnet(rng), *RESNET, "model.backbone.width=0.125")


def test_own_names_may_be_some_of_the_backbone(loaded, caplog):
    arrays = {
        "backbone/stem/kernel": np.full([3, 3, 3, 6], 0.5, np.float32),
        "head/class_scores/kernel": np.full([16, 4], 0.5),
    }
    caplog.set_level(logging.INFO, "absl")
    variables = loaded(arrays)
    assert (variables["backbone/stem/kernel"] == 0.5).all()
    assert not (variables["head/class_scores/kernel"] == 0.5).any()
    for words in (
        "weights.npz: 1 of ",
        "not in the file: backbone/",
        "backbone/c5_1_expand/kernel",
    ):
        assert words in caplog.text


@pytest.mark.parametrize(
    "arrays, words",
    [
        ({"something": np.zeros(3)}, "none of its 1 arrays fits this model; it holds something"),
        (
            {"backbone/stem/kernel": np.zeros([3, 3, 3, 99])},
            r"another shape.*backbone/stem/kernel \(3, 3, 3, 99\) instead of \(3, 3, 3, 6\)",
        ),
        (
            {"backbone/other": np.zeros(3)},
            "none of its 1 arrays fits this model.*the model needs backbone/",
        ),
    ],
)
def test_nothing_that_fits_is_an_error(loaded, arrays, words):
    with pytest.raises(ValueError, match=words):
        loaded(arrays)


def test_imagenet_is_looked_for_in_the_weights_folder(tmp_path, tiny_config, monkeypatch):
    kernel = np.full([3, 3, 3, 6], 0.5, np.float32)
    np.savez(tmp_path / "xception_imagenet.npz", **{"backbone/stem/kernel": kernel})
    monkeypatch.setenv("LHRCNN_WEIGHTS", str(tmp_path))
    detector = build_detector(tiny_config("model.backbone.weights=imagenet"), 3)
    assert_array_equal(detector.named_variables()["backbone/stem/kernel"], kernel)


def test_imagenet_weights_nobody_publishes(tmp_path, tiny_config, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="no public ImageNet weights for xception"):
        build_detector(tiny_config("model.backbone.weights=imagenet"), 3)


def randomised(model):
    """The Keras model with random weights of an order that keeps its maps finite."""
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if "variance" in variable.name or "gamma" in variable.name:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        else:
            kernel = len(variable.shape) > 1
            std = np.sqrt(2 / np.prod(variable.shape[:-1])) if kernel else 0.1
            variable.assign(std * rng.normal(size=variable.shape))
    return model


def same_maps(keras_model, layer, detector, pixels, theirs):
    expected = keras.Model(keras_model.input, keras_model.get_layer(layer).output)(theirs).numpy()
    size = tf.constant([pixels.shape[1:3]], tf.float32)
    ours = detector.backbone(detector.preprocess(tf.constant(pixels), size))["c5"].numpy()
    assert_allclose(ours, expected, atol=1e-4 * expected.std())


@pytest.fixture
def from_keras(tiny_config, monkeypatch):
    """A function (name in keras.applications, its images' shape, overrides) -> (its model with
    random weights, a detector that took them as ImageNet's)."""
    monkeypatch.setattr(backbone, "FOLDERS", ())
    monkeypatch.delenv("LHRCNN_WEIGHTS", raising=False)

    def both(name, shape, *overrides):
        made = getattr(keras.applications, name)(input_shape=shape, include_top=False, weights=None)
        model = randomised(made)
        monkeypatch.setattr(keras.applications, name, lambda **options: model)
        options = {"width": 1, "weights": "imagenet", "out_stride": 32}
        usual = [f"model.backbone.{option}={value}" for option, value in options.items()]
        return model, build_detector(tiny_config(*usual, *overrides), 3)

    return both


@pytest.mark.parametrize(
    "top_conv, layer", [("false", "block_16_project_BN"), ("true", "out_relu")]
)
def test_keras_mobilenet_v2_gives_the_same_maps(from_keras, rng, top_conv, layer):
    """Keras's MobileNetV2 pads strides on one side only: on an image of 2^n + 1 px both ways of
    padding agree."""
    model, detector = from_keras(
        "MobileNetV2",
        [65, 65, 3],
        "model.backbone.name=mobilenet_v2",
        f"model.backbone.top_conv={top_conv}",
        "model.backbone.pixel_mean=[127.5, 127.5, 127.5]",
        "model.backbone.pixel_std=[127.5, 127.5, 127.5]",
    )
    pixels = rng.integers(0, 256, [1, 65, 65, 3], np.uint8)
    same_maps(model, layer, detector, pixels, pixels / 127.5 - 1)


def test_keras_resnet50_gives_the_same_maps(from_keras, rng):
    model, detector = from_keras(
        "ResNet50",
        [64, 96, 3],
        "model.backbone.name=resnet50",
        "model.backbone.style=caffe",
        "model.backbone.pixel_mean=[123.68, 116.779, 103.939]",
        "model.backbone.pixel_std=[2, 2, 2]",
    )
    pixels = rng.integers(0, 256, [1, 64, 96, 3], np.uint8)
    theirs = keras.applications.resnet.preprocess_input(pixels.astype(np.float32))
    same_maps(model, "conv5_block3_out", detector, pixels, theirs)


def test_keras_resnet50_of_the_old_names(rng):
    """res3b_branch2a and bn3b_branch2a are conv3_block2_1; the bias goes to the mean."""
    state = {"conv1|kernel": np.zeros([7, 7, 3, 4]), "res2a_branch2a|kernel": np.zeros(1)}
    for role in ("gamma", "beta", "moving_mean", "moving_variance"):
        state[f"bn3b_branch2a|{role}"] = np.ones(4)
    state["res3b_branch2a|bias"] = np.array([1.0, 2, 3, 4])
    caffe = configs.load(None, ["model.backbone.style=caffe"])
    source = keras_applications.describe(state, caffe.model)
    found = source.state
    assert found["conv3_block2_1_bn/moving_mean"].tolist() == [0, -1, -2, -3]
    assert "conv3_block2_1_conv/bias" not in found
    assert source.epsilon == 1e-3
    assert {"conv1_conv/kernel", "conv2_block1_1_conv/kernel"} <= set(found)
    with pytest.raises(ValueError, match="set model.backbone.style=caffe"):
        keras_applications.describe(state, configs.load(None).model)
