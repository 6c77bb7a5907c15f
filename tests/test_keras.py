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
    "tf.keras touched first": "import tensorflow as tf; tf.keras.layers.Dense",
}
SCRIPT = """{before}
import lhrcnn
found = lhrcnn.Detector.from_pretrained().predict("docs/cat.jpg").above(0.9)
assert found.names[:1] == ["cat"], found
from lhrcnn.keras import keras
assert not hasattr(keras, "ops"), "this is Keras 3"
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "before, legacy", [*((before, None) for before in BEFORE), ("plain", "0"), ("plain", "1")]
)
def test_a_pretrained_model_predicts(before, legacy):
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
