"""Loading backbone weights, and what is said about what did not fit."""
import logging

import numpy as np
import pytest

from lhrcnn import weights
from lhrcnn.build import build_detector


def test_imagenet_mobilenet_fills_every_variable_with_the_right_values(shared, tiny_config, caplog):
    path = shared / "weights" / "mobilenet_v2_imagenet.npz"
    caplog.set_level(logging.INFO, "lhrcnn")
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
    caplog.set_level(logging.INFO, "lhrcnn")
    restored, missing = weights.load_backbone(detector, tmp_path / "some.npz")
    assert missing == [dropped] and dropped in caplog.text and "head/class_scores/kernel" not in restored


def test_nothing_matching_is_an_error(tmp_path, tiny_config):
    np.savez(tmp_path / "other.npz", something=np.zeros(3))
    with pytest.raises(ValueError, match="none of its 1 arrays fits.*something.*backbone/"):
        weights.load_backbone(build_detector(tiny_config(), 3), tmp_path / "other.npz")


def test_other_shape_is_an_error(tmp_path, tiny_config):
    np.savez(tmp_path / "wide.npz", **{"backbone/stem/kernel": np.zeros([3, 3, 3, 99])})
    with pytest.raises(ValueError, match=r"another shape.*backbone/stem/kernel \(3, 3, 3, 99\) instead of \(3, 3, 3, 6\)"):
        weights.load_backbone(build_detector(tiny_config(), 3), tmp_path / "wide.npz")


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
        weights.load_backbone(build_detector(tiny_config("model.backbone.name=mobilenet_v2"), 3), tmp_path / "half.npz")
