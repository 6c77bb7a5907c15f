"""Reading files of named arrays."""

import json
import pickle
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn.errors import CheckpointError, LhrcnnError
from lhrcnn.keras import keras
from lhrcnn.weights.files import read_arrays, read_checkpoint


def test_npz(tmp_path):
    np.savez(tmp_path / "some.npz", **{"a.b": np.arange(3)})
    assert read_arrays(tmp_path / "some.npz")["a.b"].tolist() == [0, 1, 2]


def test_safetensors(tmp_path):
    floats, halves, ids = (
        np.arange(6, dtype="<f4").reshape(2, 3) / 4,
        np.array([1.5], "<f2"),
        np.array(7, "<i8"),
    )
    bfloat16 = (floats[0].view("<u4") >> 16).astype("<u2")
    header, content = {"__metadata__": {"format": "pt"}}, b""
    for name, dtype, array in (
        ("floats", "F32", floats),
        ("halves", "F16", halves),
        ("ids", "I64", ids),
        ("short", "BF16", bfloat16),
    ):
        header[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [len(content), len(content) + array.nbytes],
        }
        content += array.tobytes()
    text = json.dumps(header).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)
    arrays = read_arrays(path)
    np.testing.assert_array_equal(arrays["floats"], floats)
    np.testing.assert_array_equal(arrays["short"], floats[0])
    assert arrays["halves"].tolist() == [1.5] and arrays["ids"] == 7 and len(arrays) == 4
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match="model.safetensors: not readable as .safetensors"):
        read_arrays(path)


def test_keras_weights_file(tmp_path):
    model = keras.Sequential(
        [keras.layers.Dense(2, name="fc1"), keras.layers.BatchNormalization(name="bn")]
    )
    model.build([None, 3])
    model.save_weights(tmp_path / "model.h5")
    arrays = read_arrays(tmp_path / "model.h5")
    assert set(arrays) == {
        "fc1/kernel",
        "fc1/bias",
        "bn/gamma",
        "bn/beta",
        "bn/moving_mean",
        "bn/moving_variance",
    }
    np.testing.assert_array_equal(arrays["fc1/kernel"], model.layers[0].kernel)


@pytest.mark.parametrize("version", [1, 2])
def test_tensorflow_checkpoint(tmp_path, version):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variable = tf.compat.v1.get_variable("scope/weights", initializer=[1.0, 2.0])
        session.run(variable.initializer)
        tf.compat.v1.train.Saver([variable], write_version=version).save(
            session, str(tmp_path / "model.ckpt"), write_meta_graph=False
        )
    assert read_arrays(tmp_path / "model.ckpt")["scope/weights"].tolist() == [1, 2]
    if version == 2:
        assert read_arrays(tmp_path / "model.ckpt.index")["scope/weights"].tolist() == [1, 2]


@pytest.mark.parametrize(
    "content, names",
    [
        (lambda state: state, []),
        (lambda state: {"model": state, "other_info": {}}, []),
        (
            lambda state: {
                "state_dict": {f"module.{name}": value for name, value in state.items()},
                "meta": {"CLASSES": ("cat", "dog")},
            },
            ["cat", "dog"],
        ),
        (
            lambda state: {"state_dict": state, "meta": {"dataset_meta": {"classes": ["cat"]}}},
            ["cat"],
        ),
    ],
)
def test_torch_state_dicts_as_they_are_saved(tmp_path, content, names):
    torch = pytest.importorskip("torch")
    torch.save(
        content({"a.weight": torch.ones([2, 3], dtype=torch.float16), "a.steps": torch.tensor(5)}),
        tmp_path / "a.pth",
    )
    arrays, class_names = read_checkpoint(tmp_path / "a.pth")
    assert (
        arrays["a.weight"].dtype == np.float32
        and arrays["a.weight"].shape == (2, 3)
        and arrays["a.steps"] == 5
        and class_names == names
    )


@pytest.mark.parametrize(
    "before, names",
    [
        ("model.", {"a.weight", "b.weight"}),  # Lightning
        ("_orig_mod.module.", {"a.weight", "b.weight"}),  # torch.compile, DataParallel
        ("model._orig_mod.", {"a.weight", "b.weight"}),
        ("module.net._orig_mod.", {"net.a.weight", "net.b.weight"}),  # a part that is compiled
        ("net.", {"net.a.weight", "net.b.weight"}),
    ],
)
def test_names_are_without_what_wrappers_put_before_them(tmp_path, before, names):
    state = {f"{before}{name}.weight": np.ones(2, np.float16) for name in "ab"}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"epoch": 3, "state_dict": state}))
    arrays = read_arrays(tmp_path / "a.pkl")
    assert set(arrays) == names and {array.dtype.name for array in arrays.values()} == {"float32"}


def test_only_names_that_all_begin_so_lose_model(tmp_path):
    state = {"model.a.weight": np.ones(2), "head.weight": np.ones(2)}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(state))
    assert set(read_arrays(tmp_path / "a.pkl")) == set(state)


def test_a_ckpt_file_of_torch_is_read_as_such(tmp_path):
    with zipfile.ZipFile(tmp_path / "last.ckpt", "w") as file:
        state = {"state_dict": {"model.a.weight": np.ones(2)}}
        file.writestr("archive/data.pkl", pickle.dumps(state))
    assert set(read_arrays(tmp_path / "last.ckpt")) == {"a.weight"}


@pytest.mark.parametrize(
    "name, content, error, words",
    [
        ("absent.npz", None, CheckpointError, "no such weights file"),
        ("broken.npz", b"PK nonsense", ValueError, "not readable as .npz"),
        ("broken.h5", b"x", ValueError, "not readable as .h5"),
        ("broken.ckpt", b"x" * 100, ValueError, "not readable as a TensorFlow checkpoint"),
        ("weights.caffemodel", b"x", ValueError, "found '.caffemodel'"),
    ],
)
def test_unusable_files(tmp_path, name, content, error, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=words):
        read_arrays(tmp_path / name)


def test_pth_with_code_in_it(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"\x80\x02cos\nsystem\n.")
    with pytest.raises(LhrcnnError, match="nothing else is unpickled"):
        read_arrays(tmp_path / "a.pth")
