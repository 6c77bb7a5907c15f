"""Fixtures every test may use."""

import gc
import os
import pathlib
import shlex
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
TESTS = pathlib.Path(__file__).parent
sys.path.insert(0, str(TESTS))  # `from reference.x import ...`
sys.path.insert(0, str(TESTS.parent))

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402
from tiny import TINY  # noqa: E402

import lhrcnn.config  # noqa: E402  chooses the Keras of this Python before TensorFlow is imported
from lhrcnn import cli  # noqa: E402
from lhrcnn.distribution import strategy_for  # noqa: E402
from lhrcnn.keras import keras  # noqa: E402
from lhrcnn.models.backbones import BACKBONES  # noqa: E402

# Two logical CPUs in every test process, so that MirroredStrategy can be tried anywhere.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

# A backbone of four convolutions, for what does not depend on the backbone.
BACKBONES["small"] = "small_backbone:small"

# Each training collects garbage; what was imported is none, and need not be looked through.
gc.freeze()


def pytest_collection_modifyitems(items):
    """Files with slow tests go first, so that no process is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def seed():
    """Initial weights that are the same in every run: a few random ones leave a small map zero."""
    keras.utils.set_random_seed(0)


@pytest.fixture
def call(capsys):
    """A function (a command line, or its words) -> (exit status, stdout, stderr) of `lhrcnn`."""

    def run(*words):
        words = shlex.split(words[0]) if len(words) == 1 else map(str, words)
        return (cli.main(words), *capsys.readouterr())

    return run


@pytest.fixture
def done(call):
    """The same -> stdout of `lhrcnn`, which must succeed."""

    def run(*words):
        status, out, err = call(*words)
        assert status == 0, err
        return out

    return run


@pytest.fixture
def two_cpus():
    """The strategy over both logical CPUs."""
    return strategy_for("CPU:0", "CPU:1")


@pytest.fixture
def rng():
    """A seeded NumPy generator."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def shared():
    """Folder with real data sets and golden outputs, beside the checkout or at $LHRCNN_SHARED."""
    folder = pathlib.Path(os.environ.get("LHRCNN_SHARED", TESTS.parent.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"needs the real data at {folder}/data; set LHRCNN_SHARED")
    return folder


@pytest.fixture
def tiny_config():
    """A function (overrides) -> Config of a detector that runs in milliseconds."""
    return lambda *overrides: lhrcnn.config.load(None, [*TINY, *overrides])


@pytest.fixture
def small_config(tiny_config):
    """The same on the small backbone."""
    return lambda *overrides: tiny_config("model.backbone.name=small", *overrides)


@pytest.fixture
def random_batch(rng):
    """A function (images, size) -> batch as in lhrcnn.data.schema.

    Each image has three boxes, a crowd and padding."""

    def make(images=4, size=64):
        boxes = np.tile(
            np.array(
                [[4, 4, 30, 40], [20, 20, 60, 60], [40, 2, 60, 20], [0, 40, 20, 64], [0, 0, 0, 0]],
                np.float32,
            ),
            (images, 1, 1),
        )
        return {
            "image": tf.constant(rng.integers(0, 256, (images, size, size, 3)), tf.uint8),
            "image_size": tf.fill([images, 2], float(size)),
            "scale": tf.ones([images, 2]),
            "boxes": tf.constant(boxes),
            "classes": tf.tile(tf.constant([[0, 1, 2, 1, -1]]), [images, 1]),
            "ignore": tf.tile(tf.constant([[False, False, False, True, False]]), [images, 1]),
            "image_id": tf.range(images, dtype=tf.int64),
        }

    return make


@pytest.fixture(params=["custom", "tf"])
def implementation(request):
    """Each implementation of a RoI op that can be had here."""
    from lhrcnn.ops.psroi_align import custom_op_available, custom_op_status

    if request.param == "custom" and not custom_op_available():
        pytest.skip(custom_op_status())
    return request.param
