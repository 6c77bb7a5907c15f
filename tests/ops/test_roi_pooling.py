"""What RoIAlign and RoIPool have in common: types, shapes, errors, chunks, saving,
reproducibility.
"""

import functools
import hashlib
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from reference.roi_pooling import EMPTY_BOXES, random_inputs

from lhrcnn.ops import roi_pooling
from lhrcnn.ops.compiled import compiled_ops
from lhrcnn.ops.psroi_align import custom_op_available, custom_op_status
from lhrcnn.ops.roi_align import roi_align
from lhrcnn.ops.roi_pool import roi_pool

TESTS = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(params=[roi_align, roi_pool])
def op(request, implementation):
    return lambda features, boxes, **more: request.param(
        features,
        boxes,
        **{"size": 3, "spatial_scale": 0.25, "implementation": implementation, **more},
    )


def gradient_of(op, features, boxes, upstream=None):
    with tf.GradientTape() as tape:
        tape.watch([features, boxes])
        pooled = op(features, boxes)
    features_gradient, boxes_gradient = tape.gradient(pooled, [features, boxes], upstream)
    assert boxes_gradient is None
    return features_gradient


def test_channels_are_pooled_each_for_itself(op, rng):
    features, boxes = random_inputs(rng, channels=37)
    pooled = op(features, boxes)
    for channels in (slice(0, 1), slice(1, 9), slice(9, 37)):
        np.testing.assert_allclose(
            pooled[..., channels], op(features[..., channels], boxes), rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("dtype, tolerance", [(tf.float16, 2e-3), (tf.bfloat16, 1e-2)])
def test_sixteen_bits_sum_in_float32(op, rng, dtype, tolerance):
    features, boxes = (tf.constant(values) for values in random_inputs(rng))
    rounded = tf.cast(features, dtype)
    pooled = op(rounded, boxes)
    assert pooled.dtype == dtype
    np.testing.assert_allclose(
        tf.cast(pooled, tf.float32),
        op(tf.cast(rounded, tf.float32), boxes),
        rtol=tolerance,
        atol=tolerance,
    )
    # 4,096 additions of 1 would stop at 2,048 in half and at 256 in bfloat16.
    gradient = gradient_of(
        lambda f, b: op(f, b, size=1),
        tf.ones([1, 1, 1, 2], dtype),
        tf.constant([[[0, 0, 1, 1]] * 4096], tf.float32),
    )
    np.testing.assert_allclose(tf.cast(gradient, tf.float32), 4096, rtol=2e-3)


@pytest.mark.parametrize("batch, num_boxes", [(0, 0), (0, 3), (2, 0)])
def test_no_boxes_and_no_images(op, rng, batch, num_boxes):
    features, boxes = (
        tf.constant(values) for values in random_inputs(rng, batch=batch, num_boxes=num_boxes)
    )
    assert op(features, boxes).shape == (batch, num_boxes, 3, 3, 3)
    gradient = gradient_of(op, features, boxes)
    assert gradient.shape == features.shape and not np.any(gradient)


def test_empty_boxes_give_nothing_and_change_nothing(op, rng):
    features, boxes = random_inputs(rng, batch=1)
    mixed = np.concatenate([EMPTY_BOXES[:4], boxes[0, :3], EMPTY_BOXES[4:], boxes[0, 3:]])[
        None
    ].astype(np.float32)
    kept = [4, 5, 6, 11, 12, 13]
    upstream = rng.normal(size=(1, 14, 3, 3, 3)).astype(np.float32)
    features, boxes, mixed = tf.constant(features), tf.constant(boxes), tf.constant(mixed)
    pooled = op(features, mixed).numpy()
    np.testing.assert_array_equal(pooled[:, kept], op(features, boxes))
    assert not np.delete(pooled, kept, 1).any()
    np.testing.assert_allclose(
        gradient_of(op, features, mixed, tf.constant(upstream)),
        gradient_of(op, features, boxes, tf.constant(upstream[:, kept])),
        rtol=0,
        atol=1e-5,
    )


def test_custom_and_twin_agree_where_chunks_are_small(rng, monkeypatch):
    if not custom_op_available():
        pytest.skip(custom_op_status())
    monkeypatch.setattr(roi_pooling, "_CHUNK_BOXES", 4)
    monkeypatch.setattr(roi_pooling, "_LEAST_ELEMENTS", 500)
    monkeypatch.setattr(roi_pooling, "_MOST_ELEMENTS", 1000)
    features, boxes = (
        tf.constant(values) for values in random_inputs(rng, num_boxes=8, channels=5)
    )
    upstream = tf.constant(rng.normal(size=(2, 8, 3, 3, 5)), tf.float32)
    for function in (roi_align, roi_pool):
        results = []
        for implementation in ("custom", "tf"):
            op = tf.function(
                functools.partial(
                    function, size=3, spatial_scale=1.0, implementation=implementation
                )
            )
            results.append((op(features, boxes), gradient_of(op, features, boxes, upstream)))
        for ours, twins in zip(*results):
            np.testing.assert_allclose(ours, twins, rtol=0, atol=1e-5)


def test_dynamic_shapes(op, rng):
    @tf.function(input_signature=[tf.TensorSpec([None] * 4), tf.TensorSpec([None, None, 4])])
    def pooled_and_gradient(features, boxes):
        return op(features, boxes), gradient_of(op, features, boxes)

    for batch, height, num_boxes in ((1, 8, 5), (2, 3, 1), (3, 1, 0)):
        features, boxes = (
            tf.constant(values)
            for values in random_inputs(rng, batch=batch, height=height, num_boxes=num_boxes)
        )
        pooled, gradient = pooled_and_gradient(features, boxes)
        np.testing.assert_allclose(pooled, op(features, boxes), rtol=0, atol=1e-6)
        np.testing.assert_allclose(gradient, gradient_of(op, features, boxes), rtol=0, atol=1e-5)
    assert pooled_and_gradient.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
    "batch, num_boxes, channels", [(2, 5, 3), (None, None, 3), (None, 7, None)]
)
def test_static_shapes(op, batch, num_boxes, channels):
    @tf.function
    def pooled_and_gradient(features, boxes):
        pooled = op(features, boxes)
        shapes.extend([pooled.shape.as_list(), tf.gradients(pooled, features)[0].shape.as_list()])

    shapes = []
    pooled_and_gradient.get_concrete_function(
        tf.TensorSpec([batch, 8, 9, channels]), tf.TensorSpec([2, num_boxes, 4])
    )
    assert shapes == [[2, num_boxes, 3, 3, channels], [batch, 8, 9, channels]]


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(features=tf.zeros([8, 9, 2])), "B, H, W, C"),
        (dict(boxes=tf.zeros([5, 4])), "B, N, 4"),
        (dict(boxes=tf.zeros([2, 5, 5])), "B, N, 4"),
        (dict(boxes=tf.zeros([3, 5, 4])), "B, N, 4"),
        (dict(boxes=tf.zeros([2, 5, 4], tf.float16)), "must be float32"),
        (dict(features=tf.zeros([2, 8, 9, 2], tf.int32)), "they must be float32"),
        (dict(features=tf.zeros([2, 0, 9, 2])), "at least one pixel"),
        (dict(size=0), "size"),
        (dict(size=1.5), "an integer"),
        (dict(spatial_scale=0), "spatial_scale"),
        (dict(spatial_scale=np.nan), "finite"),
        (dict(implementation="cuda"), "implementation"),
    ],
)
def test_wrong_arguments(op, change, message):
    with pytest.raises(ValueError, match=message):
        op(**{"features": tf.zeros([2, 8, 9, 2]), "boxes": tf.zeros([2, 5, 4]), **change})


def test_shapes_known_only_at_run_time(op):
    pooled = tf.function(op, input_signature=[tf.TensorSpec(None), tf.TensorSpec(None)])
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        pooled(tf.zeros([2, 8, 9]), tf.zeros([2, 5, 4]))
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        pooled(tf.zeros([2, 8, 9, 3]), tf.zeros([2, 5, 5]))


@pytest.mark.parametrize("function", [roi_align, roi_pool])
def test_a_saved_twin_needs_stock_ops_alone(function, rng, tmp_path):
    module = tf.Module()
    module.pool = tf.function(
        lambda features, boxes: function(
            features, boxes, size=3, spatial_scale=0.25, implementation="tf"
        ),
        input_signature=[tf.TensorSpec([None] * 4), tf.TensorSpec([None, None, 4])],
    )
    tf.saved_model.save(module, str(tmp_path))
    assert b"Lhrcnn" not in (tmp_path / "saved_model.pb").read_bytes()
    features, boxes = random_inputs(rng)
    np.testing.assert_allclose(
        tf.saved_model.load(str(tmp_path)).pool(features, boxes),
        function(features, boxes, size=3, spatial_scale=0.25, implementation="tf"),
        rtol=0,
        atol=1e-6,
    )


def test_auto_pools_on_the_gpu_with_stock_ops(monkeypatch):
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind: ["one"] if kind == "GPU" else []
    )
    assert compiled_ops("auto", "RoIAlign") is None


def digest():
    """A hash of values and gradients of the compiled ops."""
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 300, (2, 300, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 200, corner.shape)], -1).astype(
        np.float32
    )
    features = tf.constant(rng.normal(size=(2, 60, 31, 40)).round(1), tf.float32)
    upstream = tf.constant(rng.normal(size=(2, 300, 7, 7, 40)), tf.float32)
    result = hashlib.sha256()
    for function in (roi_align, roi_pool):
        with tf.GradientTape() as tape:
            tape.watch(features)
            pooled = function(features, boxes, size=7, spatial_scale=1 / 8, implementation="custom")
        result.update(
            pooled.numpy().tobytes() + tape.gradient(pooled, features, upstream).numpy().tobytes()
        )
    return result.hexdigest()


def test_same_bits_on_one_thread():
    if not custom_op_available():
        pytest.skip(custom_op_status())
    code = """if True:
        import lhrcnn, tensorflow
        tensorflow.config.threading.set_intra_op_parallelism_threads(1)
        from ops.test_roi_pooling import digest
        print(digest())"""
    on_one = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"},
    ).stdout
    assert on_one.strip() == digest()
