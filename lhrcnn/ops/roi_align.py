"""RoIAlign: a compiled op and its fallback in pure TensorFlow.

Letters: B images, H W rows and columns of the map, C channels, N boxes, P bins along a side; n
boxes of a chunk, h w the size of their crops, S samples along a side of a bin.
"""

import numpy as np
import tensorflow as tf

from lhrcnn.ops import onnx_rois
from lhrcnn.ops.compiled import compiled_ops, library
from lhrcnn.ops.portable import traced_for
from lhrcnn.ops.roi_pooling import checked, pool_in_chunks


def roi_align(
    features, boxes, *, size, spatial_scale, sampling_ratio=0, aligned=True, implementation="auto"
):
    """Pools every box into P·P bins, each the mean of bilinear samples: torchvision.ops.roi_align
    and mmcv's, NHWC.

    Samples up to one cell outside the map take the border's value, those further out count 0. A box
    with a coordinate that is not finite, or of no height or width, gives zeros and receives no
    gradient.

    Args:
      features: [B, H, W, C] float32, float64, half or bfloat16; sums are float32 (float64 for
        float64).
      boxes: [B, N, 4] float32 (ymin, xmin, ymax, xmax) in pixels of the network input; they receive
        no gradient.
      size: P.
      spatial_scale: map cells per pixel of the network input, such as 1/16.
      sampling_ratio: S; 0 takes ceil(height or width of the bin in cells).
      aligned: shift boxes by half a cell, so that a pixel's value lies at its centre; without, a
        box is taken to be at least one cell high and wide.
      implementation: "custom" (compiled, for CPUs), "tf" (pure TensorFlow, anywhere) or "auto"
        ("custom" where it can be had and there is no GPU). Neither runs under XLA.

    Returns:
      [B, N, P, P, C], of the dtype of the features.

    Raises:
      ValueError: an argument is not one of those above.
      RuntimeError: "custom" was asked for and cannot be had; the message says why.

    Source: Mask R-CNN (He et al. 2017), section 3.
    """
    features, boxes = checked(features, boxes, size, spatial_scale)
    if not isinstance(sampling_ratio, (int, np.integer)) or sampling_ratio < 0:
        raise ValueError(
            f"sampling_ratio is {sampling_ratio!r}; it must be an integer of at least 0 (0: "
            "adaptive)."
        )
    if aligned not in (True, False):
        raise ValueError(f"aligned is {aligned!r}; it must be True or False.")
    if traced_for("onnx"):
        return onnx_rois.roi_align(features, boxes, size, spatial_scale, sampling_ratio, aligned)
    ops = compiled_ops(implementation, "RoIAlign")
    if ops:
        return ops.lhrcnn_roi_align(
            features,
            boxes,
            size=size,
            spatial_scale=spatial_scale,
            sampling_ratio=sampling_ratio,
            aligned=aligned,
        )

    def pool(crops, boxes, first, map_size):
        crop_size, channels = tf.shape(crops)[1:3], tf.shape(crops)[3]
        rows, columns = (
            _weights(
                *_extents(tf.cast(boxes[:, axis::2], crops.dtype), spatial_scale, aligned),
                size,
                sampling_ratio,
                first[:, axis],
                crop_size[axis],
                map_size[axis],
            )
            for axis in (0, 1)
        )
        crops = tf.reshape(crops, [-1, crop_size[0], crop_size[1] * channels])
        crops = tf.reshape(tf.matmul(rows, crops), [-1, size, crop_size[1], channels])
        return tf.matmul(columns[:, None], crops)

    def spans(boxes, map_size):
        real = tf.float64 if features.dtype == tf.float64 else tf.float32
        edges = tf.reshape(tf.cast(boxes, real), [-1, 2, 2])
        return _cells(*_extents(edges, spatial_scale, aligned), tf.cast(map_size - 1, real))

    return pool_in_chunks(features, boxes, size, spans, pool)


# Registering needs no library, and must precede the first gradient of a loaded model.
@tf.RegisterGradient("LhrcnnRoiAlign")
def _gradient(op, gradient):
    attributes = {
        name: op.get_attr(name) for name in ("size", "spatial_scale", "sampling_ratio", "aligned")
    }
    return library().module.lhrcnn_roi_align_grad(*op.inputs, gradient, **attributes), None


def _extents(edges, spatial_scale, aligned):
    """Starts and lengths [n, ...] in cells, of start and end [n, 2, ...] in pixels."""
    edges = tf.clip_by_value(edges * float(np.float32(spatial_scale)), -1e30, 1e30) - (
        0.5 if aligned else 0
    )
    start, end = tf.unstack(edges, axis=1)
    return start, end - start if aligned else tf.maximum(end - start, 1)


def _cells(start, length, last):
    """First row and column, and how many of them, [n, 2] int32, samples in such extents read of a
    map whose last cell is `last` [2]."""
    first = tf.cast(tf.clip_by_value(tf.floor(start), 0, last), tf.int32)
    end = tf.cast(tf.clip_by_value(tf.floor(start + length) + 1, 0, last), tf.int32)
    return first, end - first + 1


def _weights(start, length, size, sampling_ratio, first, num_cells, map_size):
    """Weights [n, P, h] of h cells from `first` on in the bins along one axis."""
    dtype = start.dtype
    # Optimisers replace a division by a constant with a product, which rounds otherwise; this one
    # they leave alone.
    bin_size = tf.math.divide_no_nan(length, tf.constant(size, dtype))[:, None]
    samples = (
        tf.cast(sampling_ratio, dtype) * tf.ones_like(bin_size)
        if sampling_ratio
        else tf.math.ceil(bin_size)
    )
    # Adaptive samples lie more than half a cell apart: no more of them touch the map.
    most = sampling_ratio or tf.minimum(tf.reduce_max(samples), tf.cast(2 * map_size + 8, dtype))
    origin = start[:, None] + tf.range(size, dtype=dtype) * bin_size
    before = tf.floor((-1 - origin) * samples / bin_size) - 1
    number = tf.maximum(before, 0)[..., None] + tf.range(most, dtype=dtype)
    position = origin[..., None] + (number + 0.5) * bin_size[..., None] / samples[..., None]
    last = tf.cast(map_size - 1, dtype)
    counts = (number < samples[..., None]) & (position >= -1) & (position <= last + 1)
    position = tf.where(counts, tf.clip_by_value(position, 0, last), -2)
    cell = tf.cast(first[:, None] + tf.range(num_cells), dtype)[:, None, None]
    weights = tf.nn.relu(1 - tf.abs(position[..., None] - cell))
    return tf.math.divide_no_nan(tf.reduce_sum(weights, 2), samples[..., None])
