"""The compiled PS-RoIAlign and its TensorFlow twin against plain loops."""

import functools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from reference import psroi_align as reference

from lhrcnn.config import rules
from lhrcnn.ops import psroi_align
from lhrcnn.ops.psroi_align import custom_op_available, custom_op_status, ps_roi_align

ROOT = Path(__file__).resolve().parents[2]
GROUP, CHANNELS, SCALE = 3, 2, 0.25
# Both inputs are rounded to the dtype first: what remains is the output's own rounding.
TOLERANCE = {tf.float32: 1e-5, tf.float64: 1e-12, tf.float16: 2e-3, tf.bfloat16: 1e-2}
INF, NAN = np.inf, np.nan
ODD_BOXES = [
    [8, 8, 8, 30],
    [8, 30, 20, 8],
    [20, 8, 8, 30],
    [NAN, 1, 9, 9],
    [1, 1, NAN, 9],
    [0, 0, INF, 9],
    [-INF, 0, 9, 9],
    [-1e30, -1e30, 1e30, 1e30],
    [1e30, 1e30, 2e30, 2e30],
    [-3e38, 0, 3e38, 9],
    [-90, -90, -50, -50],
    [500, 500, 600, 600],
    [-8, -8, 8, 8],
    [0, 0, 4e9, 4e9],
    [-40, -40, 80, 90],
    [3, 3, 3.001, 3.001],
    [0, 0, 32, 36],
]


def random_inputs(
    dtype=tf.float32, batch=2, height=8, width=9, num_boxes=5, seed=0, channels=CHANNELS
):
    """Features rounded to `dtype`, as a tensor, and boxes that partly leave the map."""
    rng = np.random.default_rng(seed)
    features = tf.cast(rng.normal(size=(batch, height, width, GROUP**2 * channels)), dtype)
    corner = rng.uniform(-6, 24, (batch, num_boxes, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 30, corner.shape)], -1)
    return features, boxes.astype(np.float32)


def expected(features, boxes, **arguments):
    real = np.float64 if features.dtype == tf.float64 else np.float32
    return reference.ps_roi_align(
        tf.cast(features, real).numpy(), np.asarray(boxes, np.float32), GROUP, SCALE, **arguments
    )


def run(features, boxes, **arguments):
    return ps_roi_align(
        features,
        tf.convert_to_tensor(boxes, tf.float32),
        group_size=GROUP,
        spatial_scale=SCALE,
        **arguments,
    )


def features_gradient(features, boxes, upstream=None, **arguments):
    with tf.GradientTape() as tape:
        tape.watch(features)
        pooled = run(features, boxes, **arguments)
        weights = 1 if upstream is None else tf.cast(upstream, pooled.dtype)
        loss = tf.reduce_sum(pooled * weights)
    return tape.gradient(loss, features)


@pytest.mark.parametrize("channel_order", ["bin_major", "channel_major"])
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("pool", ["avg", "max"])
@pytest.mark.parametrize("sampling_ratio", [1, 2, 3])
def test_equals_the_loops(implementation, pool, aligned, channel_order, sampling_ratio):
    arguments = dict(
        pool=pool, aligned=aligned, channel_order=channel_order, sampling_ratio=sampling_ratio
    )
    for dtype in (tf.float32, tf.float64):
        features, boxes = random_inputs(dtype)
        pooled = run(features, boxes, implementation=implementation, **arguments)
        assert pooled.dtype == dtype
        np.testing.assert_allclose(
            pooled, expected(features, boxes, **arguments), rtol=0, atol=TOLERANCE[dtype]
        )


@pytest.mark.parametrize("pool", ["avg", "max"])
@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_sixteen_bits_sum_in_float32(implementation, pool, dtype):
    features, boxes = random_inputs(dtype)
    arguments = dict(pool=pool, sampling_ratio=3)
    pooled = run(features, boxes, implementation=implementation, **arguments)
    assert pooled.dtype == dtype
    np.testing.assert_allclose(
        tf.cast(pooled, tf.float32),
        expected(features, boxes, **arguments),
        rtol=TOLERANCE[dtype],
        atol=TOLERANCE[dtype],
    )
    # 4,096 additions of 1 would stop at 2,048 in half and at 256 in bfloat16.
    pixel = tf.ones([1, 1, 1, GROUP**2], dtype)
    gradient = features_gradient(
        pixel, [[[0, 0, 1e-3, 1e-3]] * 4096], pool=pool, implementation=implementation
    )
    np.testing.assert_allclose(tf.cast(gradient, tf.float32), 4096, rtol=2e-3)


@pytest.mark.parametrize("channel_order", ["bin_major", "channel_major"])
@pytest.mark.parametrize("dtype", [tf.float32, tf.float16, tf.bfloat16])
@pytest.mark.parametrize(
    "implementation, channels",  # the compiled op alone goes through channels in vectors
    [*(("custom", channels) for channels in (1, 3, 8, 10, 19)), ("tf", 1), ("tf", 10)],
    indirect=["implementation"],
)
def test_any_number_of_channels(implementation, channels, dtype, channel_order):
    features, boxes = random_inputs(dtype, channels=channels)
    upstream = np.random.default_rng(1).integers(-4, 5, (2, 5, GROUP, GROUP, channels))
    close = functools.partial(
        np.testing.assert_allclose,
        atol=TOLERANCE[dtype],
        rtol=0 if dtype == tf.float32 else TOLERANCE[dtype],
    )
    for pool in ("avg", "max"):
        arguments = dict(pool=pool, channel_order=channel_order)
        pooled = run(features, boxes, implementation=implementation, **arguments)
        close(tf.cast(pooled, tf.float32), expected(features, boxes, **arguments))
        gradient, in_float32 = (
            tf.cast(
                features_gradient(
                    values, boxes, upstream, implementation=implementation, **arguments
                ),
                tf.float32,
            )
            for values in (features, tf.cast(features, tf.float32))
        )
        close(gradient, in_float32)


@pytest.mark.parametrize("pool", ["avg", "max"])
@pytest.mark.parametrize("aligned", [False, True])
def test_odd_boxes(implementation, pool, aligned):
    features, _ = random_inputs(batch=1)
    arguments = dict(pool=pool, aligned=aligned)
    pooled = run(features, [ODD_BOXES], implementation=implementation, **arguments)
    assert np.isfinite(pooled).all()
    np.testing.assert_allclose(
        pooled, expected(features, [ODD_BOXES], **arguments), rtol=0, atol=1e-5
    )
    assert not np.any(pooled[:, :7])
    gradient = features_gradient(
        features, [ODD_BOXES[:7]], implementation=implementation, **arguments
    )
    assert not np.any(gradient)
    gradient = features_gradient(features, [ODD_BOXES], implementation=implementation, **arguments)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("pool", ["avg", "max"])
@pytest.mark.parametrize("batch, num_boxes", [(0, 0), (0, 3), (2, 0)])
def test_no_boxes_and_no_images(implementation, pool, batch, num_boxes):
    features, boxes = random_inputs(batch=batch, num_boxes=num_boxes)
    pooled = run(features, boxes, pool=pool, implementation=implementation)
    assert pooled.shape == (batch, num_boxes, GROUP, GROUP, CHANNELS)
    gradient = features_gradient(features, boxes, pool=pool, implementation=implementation)
    assert gradient is not None and gradient.shape == features.shape and not np.any(gradient)


def test_a_pixel_is_counted_once_at_integer_coordinates(implementation):
    features, _ = random_inputs(batch=1)
    # With S = 1 the samples of this box are the pixels (1, 1), (1, 2) ... (3, 3).
    boxes = [[[0.5 / SCALE, 0.5 / SCALE, 3.5 / SCALE, 3.5 / SCALE]]]
    bins = tf.reshape(features, [8, 9, GROUP**2, CHANNELS]).numpy()
    for pool in ("avg", "max"):
        pooled = run(features, boxes, sampling_ratio=1, pool=pool, implementation=implementation)
        for i, j in np.ndindex(GROUP, GROUP):
            np.testing.assert_allclose(pooled[0, 0, i, j], bins[i + 1, j + 1, i * GROUP + j])


def test_linear_ramp(implementation):
    y, x = np.meshgrid(np.arange(8.0), np.arange(9.0), indexing="ij")
    ramp = np.repeat((2 * y - x)[None, ..., None], GROUP**2, -1)
    boxes = np.array([[[4, 8, 22, 29]]], np.float32)
    y0, x0, y1, x1 = boxes[0, 0] * SCALE
    height, width = (y1 - y0) / GROUP, (x1 - x0) / GROUP
    i, j = np.meshgrid(np.arange(GROUP), np.arange(GROUP), indexing="ij")
    mean = run(tf.constant(ramp), boxes, implementation=implementation)
    np.testing.assert_allclose(
        mean[0, 0, ..., 0], 2 * (y0 + height * (i + 0.5)) - (x0 + width * (j + 0.5))
    )
    largest = run(tf.constant(ramp), boxes, pool="max", implementation=implementation)
    np.testing.assert_allclose(
        largest[0, 0, ..., 0], 2 * (y0 + height * (i + 0.75)) - (x0 + width * (j + 0.25))
    )


def test_values_that_carry_no_weight_do_not_leak(implementation):
    features = np.zeros((1, 8, 9, GROUP**2), np.float32)
    features[:, 4:], features[:, :, 5:] = np.nan, np.inf
    boxes = [[[0.5 / SCALE, 0.5 / SCALE, 3.5 / SCALE, 3.5 / SCALE]]]
    for pool in ("avg", "max"):
        assert not np.any(
            run(
                tf.constant(features),
                boxes,
                sampling_ratio=1,
                pool=pool,
                implementation=implementation,
            )
        )


@pytest.mark.parametrize("channel_order", ["bin_major", "channel_major"])
@pytest.mark.parametrize("pool", ["avg", "max"])
@pytest.mark.parametrize("aligned", [False, True])
def test_numerical_gradient(implementation, pool, aligned, channel_order):
    features, boxes = random_inputs(tf.float64, batch=1, height=3, width=4, num_boxes=2)
    pooled = tf.function(
        lambda f: run(
            f,
            boxes,
            pool=pool,
            aligned=aligned,
            channel_order=channel_order,
            implementation=implementation,
        ),
        autograph=False,
    )
    theoretical, numerical = tf.test.compute_gradient(pooled, [features], delta=1e-6)
    np.testing.assert_allclose(theoretical[0], numerical[0], atol=1e-8)


@pytest.mark.parametrize("channel_order", ["bin_major", "channel_major"])
@pytest.mark.parametrize("pool", ["avg", "max"])
@pytest.mark.parametrize("dtype", [tf.float32, tf.float16, tf.bfloat16])
def test_both_gradients_are_equal(dtype, pool, channel_order):
    if not custom_op_available():
        pytest.skip(custom_op_status())
    features, boxes = random_inputs(dtype)
    boxes = np.concatenate([boxes, [ODD_BOXES] * 2], 1)
    upstream = np.random.default_rng(1).normal(size=boxes.shape[:2] + (GROUP, GROUP, CHANNELS))
    custom, twin = (
        tf.cast(
            features_gradient(
                features,
                boxes,
                upstream,
                pool=pool,
                channel_order=channel_order,
                implementation=name,
            ),
            tf.float64,
        )
        for name in ("custom", "tf")
    )
    np.testing.assert_allclose(custom, twin, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_the_first_of_equal_samples_gets_the_gradient(implementation):
    features = tf.ones([1, 8, 9, GROUP**2])
    boxes = [[[0, 0, 24, 24]]]  # bins of 2 cells, samples 1 cell apart at .5 and 1.5
    gradient = features_gradient(features, boxes, pool="max", implementation=implementation)
    first_bin = np.zeros((8, 9))
    first_bin[:2, :2] = 0.25
    np.testing.assert_allclose(gradient[0, ..., 0], first_bin)


def test_boxes_receive_no_gradient(implementation):
    features, boxes = random_inputs()
    boxes = tf.constant(boxes)
    with tf.GradientTape() as tape:
        tape.watch(boxes)
        loss = tf.reduce_sum(run(features, boxes, implementation=implementation))
    assert tape.gradient(loss, boxes) is None


@pytest.mark.parametrize("pool", ["avg", "max"])
def test_dynamic_shapes(implementation, pool):
    @tf.function(input_signature=[tf.TensorSpec([None] * 4), tf.TensorSpec([None, None, 4])])
    def pooled_and_gradient(features, boxes):
        with tf.GradientTape() as tape:
            tape.watch(features)
            pooled = run(features, boxes, pool=pool, implementation=implementation)
        return pooled, tape.gradient(pooled, features)

    for batch, height, num_boxes in ((1, 8, 5), (2, 3, 1), (3, 1, 0)):
        features, boxes = random_inputs(batch=batch, height=height, num_boxes=num_boxes)
        pooled, gradient = pooled_and_gradient(features, boxes)
        np.testing.assert_allclose(pooled, expected(features, boxes, pool=pool), atol=1e-5)
        assert gradient.shape == features.shape
    assert pooled_and_gradient.experimental_get_tracing_count() == 1


def test_static_shapes(implementation):
    @tf.function
    def pooled_and_gradient(features, boxes):
        pooled = run(features, boxes, implementation=implementation)
        gradient = tf.gradients(pooled, features)[0]
        shapes.append((pooled.shape.as_list(), gradient.shape.as_list()))
        return gradient

    for batch, num_boxes, depth in ((2, 5, 18), (None, None, 18), (None, 7, None)):
        shapes = []
        features = tf.TensorSpec([batch, 8, 9, depth])
        pooled_and_gradient.get_concrete_function(features, tf.TensorSpec([2, num_boxes, 4]))
        channels = depth and depth // GROUP**2
        assert shapes == [([2, num_boxes, GROUP, GROUP, channels], [batch, 8, 9, depth])]


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(features=tf.zeros([8, 9, 18])), "B, H, W"),
        (dict(boxes=tf.zeros([5, 4])), "B, N, 4"),
        (dict(boxes=tf.zeros([2, 5, 5])), "B, N, 4"),
        (dict(boxes=tf.zeros([3, 5, 4])), "B of the features"),
        (dict(boxes=tf.zeros([2, 5, 4], tf.float16)), "must be float32"),
        (dict(features=tf.zeros([2, 8, 9, 18], tf.int32)), "they must be float32"),
        (dict(features=tf.zeros([2, 8, 9, 17])), "a multiple of 9"),
        (dict(features=tf.zeros([2, 8, 9, 0])), "a multiple of 9"),
        (dict(features=tf.zeros([2, 0, 9, 18])), "at least one pixel"),
        (dict(group_size=0), "group_size"),
        (dict(group_size=33), "1 to 32"),
        (dict(sampling_ratio=0), "sampling_ratio"),
        (dict(sampling_ratio=1.5), "an integer"),
        (dict(spatial_scale=0), "spatial_scale"),
        (dict(spatial_scale=NAN), "finite"),
        (dict(pool="mean"), "'avg' or 'max'"),
        (dict(channel_order="nchw"), "'channel_major'"),
        (dict(aligned="yes"), "aligned"),
        (dict(implementation="cuda"), "implementation"),
    ],
)
def test_wrong_arguments(change, message):
    arguments = dict(
        features=tf.zeros([2, 8, 9, 18]),
        boxes=tf.zeros([2, 5, 4]),
        group_size=GROUP,
        spatial_scale=SCALE,
    )
    for implementation in ("auto", "tf"):
        with pytest.raises(ValueError, match=message):
            ps_roi_align(**{**arguments, "implementation": implementation, **change})


@pytest.mark.parametrize(
    "features_shape, boxes_shape", [((2, 8, 9, 17), (2, 5, 4)), ((2, 0, 9, 18), (2, 5, 4))]
)
def test_shapes_known_only_at_run_time(implementation, features_shape, boxes_shape):
    @tf.function(input_signature=[tf.TensorSpec(None), tf.TensorSpec(None)])
    def pooled(features, boxes):
        return run(features, boxes, implementation=implementation)

    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        pooled(tf.zeros(features_shape), tf.ones(boxes_shape) * [0, 0, 9, 9])


def test_saved_model(implementation, tmp_path):
    features, boxes = random_inputs()
    module = tf.Module()
    module.pool = tf.function(
        lambda f, b: run(f, b, pool="max", implementation=implementation),
        input_signature=[tf.TensorSpec([None] * 4), tf.TensorSpec([None, None, 4])],
    )
    tf.saved_model.save(module, str(tmp_path))
    pooled = tf.saved_model.load(str(tmp_path)).pool(features, boxes)
    np.testing.assert_allclose(pooled, expected(features, boxes, pool="max"), atol=1e-5)


def test_configs_allow_what_the_op_does():
    assert psroi_align._MAX_GROUP_SIZE == rules.MOST_BINS
    assert psroi_align._MAX_SAMPLING_RATIO == rules.MOST_SAMPLES


def test_largest_group_and_sampling_ratio(implementation):
    pooled = ps_roi_align(
        tf.ones([1, 4, 4, 32**2], tf.float64),
        [[[1.0, 1.0, 3.0, 3.0]]],
        group_size=32,
        spatial_scale=1,
        sampling_ratio=16,
        implementation=implementation,
    )
    np.testing.assert_allclose(pooled, np.ones([1, 1, 32, 32, 1]))


def test_twin_under_xla():
    features, boxes = random_inputs()
    compiled = tf.function(jit_compile=True)(lambda f, b: run(f, b, implementation="tf"))
    np.testing.assert_allclose(compiled(features, boxes), expected(features, boxes), atol=1e-5)


def run_script(script, **environment):
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


GRADIENT_BYTES = """
    import hashlib, sys
    import lhrcnn
    import numpy as np
    import tensorflow as tf
    from lhrcnn.ops.psroi_align import ps_roi_align
    tf.config.threading.set_intra_op_parallelism_threads({threads})
    for _ in range({threads}):
        rng = np.random.default_rng(0)
        corner = rng.uniform(0, 300, (2, 300, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(1, 200, corner.shape)], -1)
        upstream = rng.normal(size=(2, 300, 7, 7, 10))
        digest = hashlib.sha256()
        for dtype in (tf.float32, tf.float16):
            features = tf.cast(rng.normal(size=(2, 30, 31, 490)), dtype)
            for order in ("bin_major", "channel_major"):
                for pool in ("avg", "max"):
                    with tf.GradientTape() as tape:
                        tape.watch(features)
                        pooled = ps_roi_align(
                            features, boxes.astype(np.float32), group_size=7, spatial_scale=1 / 16,
                            pool=pool, channel_order=order, implementation="custom")
                        loss = tf.reduce_sum(pooled * tf.cast(upstream, dtype))
                    digest.update(pooled.numpy().tobytes())
                    digest.update(tape.gradient(loss, features).numpy().tobytes())
        print(digest.hexdigest())
"""


def test_same_bits_on_one_and_two_threads():
    if not custom_op_available():
        pytest.skip(custom_op_status())
    once, twice = (run_script(GRADIENT_BYTES.format(threads=n)).split() for n in (1, 2))
    assert [once[0], once[0]] == twice


def test_training_step_on_two_replicas(implementation, two_cpus):
    features, boxes = random_inputs()
    with two_cpus.scope():
        kernel = tf.Variable(tf.ones([features.shape[-1]]))

    def loss_gradient(features, boxes):
        with tf.GradientTape() as tape:
            pooled = run(features * kernel, boxes, implementation=implementation)
            loss = tf.reduce_sum(pooled**2)
        return tape.gradient(loss, kernel)

    @tf.function
    def step(data):
        def replica_step(features, boxes):
            total = tf.distribute.get_replica_context().all_reduce(
                tf.distribute.ReduceOp.SUM, loss_gradient(features, boxes)
            )
            kernel.assign_sub(0.1 * total)

        two_cpus.run(replica_step, data)

    updated = 1 - 0.1 * loss_gradient(features, boxes)
    data = two_cpus.experimental_distribute_dataset(
        tf.data.Dataset.from_tensor_slices((features, boxes)).batch(2)
    )
    step(next(iter(data)))
    np.testing.assert_allclose(kernel.numpy(), updated, rtol=1e-4)
