"""Position-sensitive RoIAlign: a compiled op and its fallback in pure TensorFlow.

Letters: B images, H W rows and columns of the feature map, N boxes, G group size,
C channels per bin, S sampling ratio.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from lhrcnn.ops import onnx_rois
from lhrcnn.ops.compiled import (  # noqa: F401  for users
    compiled_ops,
    custom_op_available,
    custom_op_status,
    library,
)
from lhrcnn.ops.portable import is_portable, traced_for
from lhrcnn.ops.roi_pooling import check_scale, checked_inputs

# The limits of the compiled op: kMaxGroupSize and kMaxSamplingRatio in psroi_align.h.
_MAX_GROUP_SIZE, _MAX_SAMPLING_RATIO = 32, 16


def ps_roi_align(
    features,
    boxes,
    *,
    group_size,
    spatial_scale,
    sampling_ratio=2,
    pool="avg",
    aligned=False,
    channel_order="bin_major",
    implementation="auto",
):
    """Pools every box into G·G bins, each from its own C channels of the feature map.

    A bin takes S·S samples, at (i + 0.5) / S of its height and width, by bilinear
    interpolation; pixels outside the map count 0. A box with a coordinate that is not
    finite, or of no height or width, gives zeros and receives no gradient.

    Args:
      features: [B, H, W, G·G·C] float32, float64, half or bfloat16; sums are float32
        (float64 for float64).
      boxes: [B, N, 4] float32 (ymin, xmin, ymax, xmax) in pixels of the network input.
        They receive no gradient.
      group_size: G, 1 to 32.
      spatial_scale: map cells per pixel of the network input, such as 1/16.
      sampling_ratio: S, 1 to 16.
      pool: "avg" or "max" of the samples; the gradient of a maximum goes to its first
        sample.
      aligned: shift boxes by half a cell, so that a pixel's value lies at its centre.
      channel_order: channel of bin (i, j) is (i·G + j)·C + c for "bin_major" and
        c·G·G + i·G + j for "channel_major", the order of the original weights.
      implementation: "custom" (compiled; not under XLA), "tf" (pure TensorFlow: for XLA and
        for models that must load anywhere) or "auto" ("custom" where it can be had).

    Returns:
      [B, N, G, G, C], of the dtype of the features.

    Raises:
      ValueError: an argument is not one of those above.
      RuntimeError: "custom" was asked for and cannot be had; the message says why.

    Source: R-FCN (Dai et al. 2016), section 2.2; RoIAlign of Mask R-CNN (He et al. 2017);
    Light-Head R-CNN (Li et al. 2017), which takes the maximum of 2·2 samples.
    """
    options = dict(
        group_size=group_size,
        spatial_scale=spatial_scale,
        sampling_ratio=sampling_ratio,
        pool=pool,
        aligned=aligned,
        channel_order=channel_order,
    )
    features, boxes = _checked(features, boxes, **options)
    if channel_order == "bin_major" and (traced_for("onnx") or traced_for("litert")):
        del options["channel_order"]
        if traced_for("litert"):
            return onnx_rois.ps_roi_align_in_gathers(features, boxes, **options)
        return onnx_rois.ps_roi_align(features, boxes, **options)
    ops = compiled_ops(implementation, "PS-RoIAlign", on_gpus=True)
    if ops:
        return ops.lhrcnn_ps_roi_align(features, boxes, **options).pooled
    return _in_tensorflow(features, boxes, **options)


def _in_tensorflow(
    features, boxes, group_size, spatial_scale, sampling_ratio, pool, aligned, channel_order
):
    """`ps_roi_align` in pure TensorFlow."""
    dtype, static_shape = features.dtype, features.shape
    work = tf.float64 if dtype == tf.float64 else tf.float32
    shape = tf.shape(features, out_type=tf.int64)
    bins = group_size**2
    channels = shape[3] // bins
    index, weights = _taps(
        tf.stop_gradient(boxes), shape, work, group_size, spatial_scale, sampling_ratio, aligned
    )
    # One table row per pixel and bin, so that a bin gathers its C channels, not all G·G·C.
    if channel_order == "channel_major":
        features = tf.reshape(features, [shape[0], shape[1], shape[2], channels, bins])
        features = tf.transpose(features, [0, 1, 2, 4, 3])
    table = tf.reshape(tf.cast(features, work), [shape[0] * shape[1] * shape[2] * bins, channels])
    # A pixel of weight 0 must not matter even where it is infinite.
    values, weight = tf.gather(table, index), weights[..., None]
    if is_portable():
        values = tf.where(weight > 0, values * weight, tf.zeros([], work))
    else:
        values = tf.math.multiply_no_nan(values, weight)
    if pool == "avg":
        pooled = tf.reduce_sum(values, axis=4) / sampling_ratio**2
    else:
        sizes = tf.shape(weights, out_type=tf.int64)
        sizes = tf.concat([sizes[:4], [sampling_ratio**2, 4, channels]], axis=0)
        pooled = _first_maximum(tf.reduce_sum(tf.reshape(values, sizes), axis=5))
    batch = static_shape[0] if boxes.shape[0] is None else boxes.shape[0]
    depth = static_shape[3]
    pooled.set_shape([batch, boxes.shape[1], group_size, group_size, depth and depth // bins])
    return tf.cast(pooled, dtype)


# Registering needs no library, and must precede the first gradient of a loaded model.
@tf.RegisterGradient("LhrcnnPsRoiAlign")
def _gradient(op, gradient, _):
    features, boxes = op.inputs
    names = "group_size spatial_scale sampling_ratio pool aligned channel_order".split()
    attributes = {name: op.get_attr(name) for name in names}
    return library().module.lhrcnn_ps_roi_align_grad(
        gradient, boxes, tf.shape(features), op.outputs[1], **attributes
    ), None


def _checked(
    features, boxes, group_size, spatial_scale, sampling_ratio, pool, aligned, channel_order
):
    """The two inputs as tensors, after everything that can be seen statically is checked."""
    for name, value, allowed in (
        ("pool", pool, ("avg", "max")),
        ("aligned", aligned, (True, False)),
        ("channel_order", channel_order, ("bin_major", "channel_major")),
    ):
        if value not in allowed:
            raise ValueError(f"{name} is {value!r}; it must be {' or '.join(map(repr, allowed))}.")
    for name, value, most in (
        ("group_size", group_size, _MAX_GROUP_SIZE),
        ("sampling_ratio", sampling_ratio, _MAX_SAMPLING_RATIO),
    ):
        if not isinstance(value, (int, np.integer)) or not 1 <= value <= most:
            raise ValueError(f"{name} is {value!r}; it must be an integer from 1 to {most}.")
    check_scale(spatial_scale)
    features, boxes = checked_inputs(features, boxes, "G·G·C")
    depth = features.shape[3]
    if depth is not None and (depth == 0 or depth % group_size**2):
        raise ValueError(
            f"features have {depth} channels; group_size={group_size} needs G·G·C of "
            f"them, a multiple of {group_size**2}."
        )
    return features, boxes


def _taps(boxes, shape, dtype, group, spatial_scale, samples, aligned):
    """Table rows (int64) and weights of all taps: [B, N, G, G, 4·S·S], four for each sample."""
    batch, height, width = shape[0], shape[1], shape[2]
    poolable = tf.reduce_all(tf.math.is_finite(boxes), axis=-1) & tf.reduce_all(
        boxes[..., 2:] > boxes[..., :2], axis=-1
    )
    # The arithmetic of FillTaps in psroi_align.h, step by step, for the same rounding.
    real = dtype.as_numpy_dtype
    edges = tf.cast(boxes, dtype) * real(np.float32(spatial_scale)) - real(0.5 if aligned else 0)
    bin_size = (edges[..., 2:] - edges[..., :2]) / real(group)
    sample_row, sample_column, next_row, next_column = np.unravel_index(
        np.arange(4 * samples**2), (samples, samples, 2, 2)
    )

    def along(axis, size, tap):
        taps = _axis_taps(edges[..., axis], bin_size[..., axis], poolable, size, group, samples)
        return (tf.gather(values, tap, axis=3) for values in taps)

    rows, row_weights = along(0, height, 2 * sample_row + next_row)
    columns, column_weights = along(1, width, 2 * sample_column + next_column)
    images = tf.reshape(tf.range(batch), [-1, 1, 1, 1, 1])
    bins = np.arange(group**2, dtype=np.int64).reshape(1, 1, group, group, 1)
    pixels = (images * height + rows[:, :, :, None]) * width + columns[:, :, None]
    weights = row_weights[:, :, :, None] * column_weights[:, :, None]
    return pixels * group**2 + bins, weights


def _axis_taps(start, bin_size, poolable, size, group, samples):
    """Pixels (int64) and weights of the 2·S taps of each bin along one axis: [B, N, G, 2·S]."""
    dtype = start.dtype
    real = dtype.as_numpy_dtype
    within = (np.arange(samples, dtype=real) + real(0.5)) / real(samples)
    offsets = np.arange(group, dtype=real)[:, None] + within
    position = start[..., None, None] + bin_size[..., None, None] * offsets
    inside = poolable[..., None, None] & (position > -1) & (position < tf.cast(size, dtype))
    position = tf.where(inside, position, tf.zeros_like(position))
    low = tf.floor(position)
    fraction = position - low
    pixels = tf.cast(low, tf.int64)
    pixels = tf.stack([pixels, pixels + 1], axis=-1)
    weights = tf.stack([1 - fraction, fraction], axis=-1)
    exists = inside[..., None] & (pixels >= 0) & (pixels < size)
    weights = tf.where(exists, weights, tf.zeros_like(weights))
    pixels = tf.where(exists, pixels, tf.zeros_like(pixels))
    shape = tf.concat([tf.shape(start), [group, 2 * samples]], axis=0)
    return tf.reshape(pixels, shape), tf.reshape(weights, shape)


def _first_maximum(values):
    """Maximum over axis 4; reduce_max would share the gradient among equal samples."""
    best, *others = tf.unstack(values, axis=4)
    for value in others:
        best = tf.where(value > best, value, best)
    return best
