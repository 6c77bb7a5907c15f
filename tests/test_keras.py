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
PRETRAINED = """
found = lhrcnn.Detector.from_pretrained().predict("docs/cat.jpg").above(0.9)
assert found.names[:1] == ["cat"], found
"""
SMALL = """
import sys
import tensorflow as tf
sys.path.insert(0, "tests")
from tiny import TINY_RUN
from lhrcnn import config
from lhrcnn.models.build import build_detector
detector = build_detector(config.load(None, TINY_RUN), 3)
found = detector.detect(tf.zeros([1, 64, 64, 3], tf.uint8), tf.constant([[64.0, 64.0]]))
assert found["boxes"].shape == (1, 10, 4), found
"""
KERAS = """
from lhrcnn.keras import keras
assert not hasattr(keras, "ops"), "this is Keras 3"
"""
CASES = [  # a pretrained model where nothing helps; a small detector, which is quicker, elsewhere
    ("plain", None, PRETRAINED),
    *((before, None, SMALL) for before in list(BEFORE)[1:]),
    ("plain", "0", SMALL),
    ("plain", "1", SMALL),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "before, legacy, use", CASES, ids=[f"{before}-{legacy}" for before, legacy, _ in CASES]
)
def test_a_detector_works(before, legacy, use):
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    if legacy:
        environment["TF_USE_LEGACY_KERAS"] = legacy
    script = f"{BEFORE[before]}\nimport lhrcnn\n{use}{KERAS}"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
