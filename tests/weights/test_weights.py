"""Loading backbone weights, and what is said about what did not fit."""
import logging

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn import config as configs
from lhrcnn import weights
from lhrcnn.backbones.mobilenet import mobilenet_v2
from lhrcnn.build import build_detector
from lhrcnn.weights import keras_applications


def test_imagenet_mobilenet_fills_every_variable_with_the_right_values(shared, tiny_config, caplog):
    path = shared / "weights" / "mobilenet_v2_imagenet.npz"
    caplog.set_level(logging.INFO, "absl")
    detector = build_detector(tiny_config("model.backbone.name=mobilenet_v2", "model.backbone.width=1.0",
                                          f"model.backbone.weights={path}"), 3)
    variables, arrays = detector.named_variables(), np.load(path)
    backbone = [name for name in variables if name.startswith("backbone/")]
    assert f"{len(backbone)} of {len(backbone)} backbone variables restored" in caplog.text
    np.testing.assert_array_equal(variables["backbone/block0/kernel"], arrays["features.0.0.weight"].transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(variables["backbone/block5_depthwise/depthwise_kernel"][:, :, 7, 0], arrays["features.5.conv.1.0.weight"][7, 0])
    np.testing.assert_array_equal(variables["backbone/block1_project/kernel"][0, 0], arrays["features.1.conv.1.weight"][:, :, 0, 0].T)
    np.testing.assert_array_equal(variables["backbone/block17_project_norm/moving_variance"], arrays["features.17.conv.3.running_var"])


def test_partly_matching_file_is_reported_by_name(tmp_path, tiny_config, caplog):
    detector = build_detector(tiny_config(), 3)
    arrays = {name: variable.numpy() for name, variable in detector.named_variables().items()}
    dropped = "backbone/c5_1_expand/kernel"
    np.savez(tmp_path / "some.npz", **{name: array for name, array in arrays.items() if name != dropped})
    caplog.set_level(logging.INFO, "absl")
    restored, missing = weights.load_backbone(detector, "xception", tmp_path / "some.npz")
    assert missing == [dropped] and dropped in caplog.text and "head/class_scores/kernel" not in restored


def test_nothing_matching_is_an_error(tmp_path, tiny_config):
    np.savez(tmp_path / "other.npz", something=np.zeros(3))
    with pytest.raises(ValueError, match="none of its 1 arrays fits.*something.*backbone/"):
        weights.load_backbone(build_detector(tiny_config(), 3), "xception", tmp_path / "other.npz")


def test_other_shape_is_an_error(tmp_path, tiny_config):
    np.savez(tmp_path / "wide.npz", **{"backbone/stem/kernel": np.zeros([3, 3, 3, 99])})
    with pytest.raises(ValueError, match=r"another shape.*backbone/stem/kernel \(3, 3, 3, 99\) instead of \(3, 3, 3, 6\)"):
        weights.load_backbone(build_detector(tiny_config(), 3), "xception", tmp_path / "wide.npz")


@pytest.mark.parametrize("name, content, error, words", [
    ("absent.npz", None, FileNotFoundError, "no such weights file"), ("broken.npz", b"PK nonsense", ValueError, "not readable as .npz"),
    ("weights.h5", b"x", ValueError, "found '.h5'")])
def test_unusable_files(tmp_path, name, content, error, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=words):
        weights.read_arrays(tmp_path / name)


def test_incomplete_torchvision_checkpoint_names_the_array(tmp_path, tiny_config):
    np.savez(tmp_path / "half.npz", **{"features.0.0.weight": np.zeros([32, 3, 3, 3])})
    with pytest.raises(ValueError, match="lacks 'features.0.1.weight'"):
        weights.load_backbone(build_detector(tiny_config("model.backbone.name=mobilenet_v2"), 3), "mobilenet_v2", tmp_path / "half.npz")


def test_imagenet_is_looked_for_in_the_weights_folder(tmp_path, tiny_config, monkeypatch):
    detector = build_detector(tiny_config(), 3)
    kernel = np.full([3, 3, 3, 6], 0.5, np.float32)
    np.savez(tmp_path / "xception_imagenet.npz", **{"backbone/stem/kernel": kernel})
    monkeypatch.setenv("LHRCNN_WEIGHTS", str(tmp_path))
    assert weights.load_backbone(detector, "xception", "imagenet")[0] == ["backbone/stem/kernel"]
    np.testing.assert_array_equal(detector.named_variables()["backbone/stem/kernel"], kernel)


def test_imagenet_weights_nobody_publishes(tmp_path, tiny_config, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="no public ImageNet weights for xception"):
        build_detector(tiny_config("model.backbone.weights=imagenet"), 3)


@pytest.fixture
def keras_model(monkeypatch):
    """A MobileNetV2 of tf.keras.applications with random weights, in place of the downloaded one."""
    model = tf.keras.applications.MobileNetV2(input_shape=[65, 65, 3], include_top=False, weights=None)
    rng = np.random.default_rng(0)
    model.set_weights([np.abs(rng.normal(size=w.shape)) if "variance" in v.name else rng.normal(size=w.shape) * 0.2
                       for v, w in zip(model.weights, model.get_weights())])
    monkeypatch.setattr(tf.keras.applications, "MobileNetV2", lambda **options: model)
    return model


def backbone_with(arrays):
    backbone = mobilenet_v2(configs.BackboneConfig(out_stride=32))
    for variable in backbone.model.weights:
        variable.assign(arrays[f"backbone/{variable.name.split(':')[0]}"])
    return backbone


def test_keras_applications_gives_the_same_maps(keras_model, rng):
    """Keras's MobileNetV2 pads strides on one side only: on a picture of 2^n + 1 px both ways of padding agree."""
    backbone = backbone_with(keras_applications.mobilenet_v2(pixel_mean=[127.5] * 3, pixel_std=[127.5] * 3))
    x = rng.normal(size=[1, 65, 65, 3]).astype(np.float32)
    expected = tf.keras.Model(keras_model.input, keras_model.get_layer("block_16_project_BN").output)(x)
    np.testing.assert_allclose(backbone.model(x)["c5"], expected, rtol=1e-3, atol=1e-4)


def test_keras_applications_first_layer_takes_our_normalisation(keras_model, rng):
    backbone = backbone_with(keras_applications.mobilenet_v2())
    pixels = rng.uniform(0, 255, [1, 65, 65, 3]).astype(np.float32)
    expected = tf.keras.Model(keras_model.input, keras_model.get_layer("Conv1_relu").output)(pixels / 127.5 - 1)
    stem = tf.keras.Model(backbone.model.input, backbone.model.get_layer("block0_relu6").output)
    ours = stem((pixels - backbone.pixel_mean) / backbone.pixel_std)
    np.testing.assert_allclose(ours[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1], rtol=1e-3, atol=1e-4)
