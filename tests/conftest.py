"""Fixtures every test may use."""
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
TESTS = pathlib.Path(__file__).parent
sys.path.insert(0, str(TESTS))  # `from reference.x import ...`
sys.path.insert(0, str(TESTS.parent))

import pytest  # noqa: E402

import lhrcnn  # noqa: E402,F401  chooses the Keras of this Python before TensorFlow is imported
import tensorflow as tf  # noqa: E402

# Two logical CPUs in every test process, so that MirroredStrategy can be tried anywhere.
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0],
                                           [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(scope="session")
def shared():
    """Folder with real data sets and golden outputs, beside the checkout or at $LHRCNN_SHARED."""
    folder = pathlib.Path(os.environ.get("LHRCNN_SHARED", TESTS.parent.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"needs the real data at {folder}/data; set LHRCNN_SHARED")
    return folder
