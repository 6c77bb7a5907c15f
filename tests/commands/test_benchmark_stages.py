"""Where a detector's time goes: what is counted, and that the parts make the whole."""

import json

import numpy as np
import pytest
import tensorflow as tf
from inference.conftest import run_dir  # noqa: F401  a fixture

from lhrcnn.commands.benchmark_stages import profile, stages_of
from lhrcnn.models.build import build_detector

SIZE = (64, 96)


@pytest.fixture(scope="module")
def inputs():
    image = tf.cast(tf.random.stateless_uniform([2, *SIZE, 3], [0, 0], 0, 256, tf.int32), tf.uint8)
    return image, tf.constant([SIZE, SIZE], tf.float32)


def test_the_stages_in_their_order_make_the_detections(small_config, inputs):
    detector = build_detector(small_config(), 3)
    stages = stages_of(detector, *inputs)
    first = ["preprocessing", "backbone", "RPN", "proposals", "RoI preparation"]
    assert list(stages)[:5] == first and list(stages)[-1] == "postprocessing"
    last = stages["postprocessing"]
    boxes, scores, classes = last.graph(*last.inputs)
    whole = detector.detect(*inputs)
    np.testing.assert_allclose(boxes, whole["boxes"], atol=1e-3)
    np.testing.assert_allclose(scores, whole["scores"], atol=1e-5)
    np.testing.assert_array_equal(classes, whole["classes"])


def test_multiply_adds_of_the_rpn_are_those_of_its_three_convolutions(small_config, inputs):
    config = small_config()
    detector = build_detector(config, 3)
    rpn = stages_of(detector, *inputs)["RPN"]
    replay, macs = rpn.products()
    cells, channels, anchors = 2 * (SIZE[0] // 16) * (SIZE[1] // 16), config.model.rpn.channels, 9
    depth = detector.backbone.output["c4"].shape[-1]
    assert macs == cells * (9 * depth * channels + channels * anchors + channels * 4 * anchors)
    assert len(replay.graph(*replay.inputs)) == 3 and replay.milliseconds() > 0


def test_profile_counts_every_stage(small_config, inputs):
    figures = profile(build_detector(small_config(), 3), *inputs, runs=2)
    assert figures["total"]["gmacs"] == pytest.approx(
        sum(row["gmacs"] for row in figures["stages"].values())
    )
    assert figures["stages"]["preprocessing"]["gmacs"] == 0 < figures["stages"]["backbone"]["gmacs"]
    assert all(
        row["ms"] > 0 and row["p90_ms"] >= 0.5 * row["ms"]
        for name, row in figures["stages"].items()
        if name != "head"
    )
    assert figures["gemm_gmacs_per_s"] > 0


def test_command_writes_its_figures(done, tmp_path):
    printed = done(
        "benchmark --config=light_head_xception_shapes --size=64x96 --runs=1 --num_classes=3 "
        f"--set=test.precision=mixed_bfloat16 --output={tmp_path / 'figures.json'}"
    )
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert all(word in printed for word in ("postprocessing", "GEMM", "mixed_bfloat16"))
    assert figures["size"] == [64, 96] and figures["precision"] == "mixed_bfloat16"
    assert figures["stages"]["backbone"]["gmacs"] > 0


def test_a_wrong_size_is_wrong_usage(call):
    status, _, err = call("benchmark --size=big")
    assert status == 2 and "expected height x width" in err


def test_a_run_is_timed_with_its_own_classes_at_one_look(run_dir, call, done):  # noqa: F811
    words = f"benchmark --run_dir={run_dir} --size=64x96 --runs=1"
    assert "small, light head, 1 x 64 x 96 px, 3 classes" in done(words)
    status, _, err = call(f"{words} --config=light_head_xception_shapes")
    assert status == 2 and "--config has no meaning beside --run_dir" in err
