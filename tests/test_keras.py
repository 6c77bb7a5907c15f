"""Whatever was imported before lhrcnn, and whatever the environment says, Keras 2 is used."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
BEFORE = {
    "plain": "",
    "tensorflow first": "import tensorflow",
    "keras first": "import keras",
    "tf.keras touched first": "import tensorflow as tf; tf.keras.__version__",
}
SCRIPT = """{before}
import lhrcnn
found = lhrcnn.Detector.from_pretrained().predict("docs/cat.jpg").above(0.9)
assert found.names[:1] == ["cat"], found
from lhrcnn.keras import keras
assert keras.__version__.startswith("2."), keras.__version__
"""


@pytest.mark.parametrize("legacy", [None, "0", "1"], ids="TF_USE_LEGACY_KERAS={}".format)
@pytest.mark.parametrize("before", BEFORE)
def test_a_pretrained_model_predicts(before, legacy):
    if legacy and before != "tf.keras touched first":
        pytest.skip("one order of imports is enough for this")
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    if legacy:
        environment["TF_USE_LEGACY_KERAS"] = legacy
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(before=BEFORE[before])],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
