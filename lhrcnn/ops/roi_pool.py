"""RoIPool: a compiled op and its fallback in pure TensorFlow.

Letters: B images, H W rows and columns of the map, C channels, N boxes, P bins along a side; n
boxes of a chunk, h w the size of their crops.
"""

import numpy as np
import tensorflow as tf

from lhrcnn.ops import onnx_rois
from lhrcnn.ops.compiled import compiled_ops, library
from lhrcnn.ops.portable import traced_for
from lhrcnn.ops.roi_pooling import checked, pool_in_chunks


def roi_pool(features, boxes, *, size, spatial_scale, implementation="auto"):
    """Pools every box, rounded to cells, into the maxima of P·P bins: torchvision.ops.roi_pool,
    NHWC.

    Bins share a cell where the box has no multiple of P cells; a bin outside the map gives 0. A box
    with a coordinate that is not finite, or of no height or width, gives zeros and receives no
    gradient.

    Args:
      features: [B, H, W, C] float32, float64, half or bfloat16.
      boxes: [B, N, 4] float32 (ymin, xmin, ymax, xmax) in pixels of the network input; they receive
        no gradient.
      size: P.
      spatial_scale: map cells per pixel of the network input, such as 1/16.
      implementation: "custom" (compiled, for CPUs), "tf" (pure TensorFlow, anywhere) or "auto"
        ("custom" where it can be had and there is no GPU). Neither runs under XLA.

    Returns:
      [B, N, P, P, C], of the dtype of the features. The gradient goes to the first of equal maxima,
      row by row.

    Raises:
      ValueError: an argument is not one of those above.
      RuntimeError: "custom" was asked for and cannot be had; the message says why.

    Source: Fast R-CNN (Girshick 2015), section 2.1.
    """
    features, boxes = checked(features, boxes, size, spatial_scale)
    if traced_for("onnx"):
        return onnx_rois.roi_pool(features, boxes, size, spatial_scale)
    ops = compiled_ops(implementation, "RoIPool")
    if ops:
        return ops.lhrcnn_roi_pool(features, boxes, size=size, spatial_scale=spatial_scale)

    def spans(boxes, map_size):
        start, end = _bins(boxes, size, spatial_scale, map_size)
        return tf.minimum(start[:, 0], map_size - 1), tf.maximum(end[:, -1] - start[:, 0], 1)

    def pool(crops, boxes, first, map_size):
        start, end = _bins(boxes, size, spatial_scale, map_size)
        shape = tf.shape(crops)
        for axis in (1, 0):  # columns first: of equal maxima the one in the first row wins
            length = end[..., axis] - start[..., axis]
            most = tf.maximum(tf.reduce_max(length), 1)
            cells = (start - first[:, None])[..., axis, None] + tf.minimum(
                tf.range(most), length[..., None] - 1
            )
            cells = tf.reshape(tf.clip_by_value(cells, 0, shape[axis + 1] - 1), [-1, size * most])
            crops = tf.gather(crops, cells, axis=axis + 1, batch_dims=1)
            before, behind = tf.shape(crops)[: axis + 1], tf.shape(crops)[axis + 2 :]
            crops = tf.reshape(crops, tf.concat([before, [size, most], behind], 0))
            crops = _first_maximum(crops, axis + 2)
        exists = tf.cast(end > start, tf.bool)
        return tf.where((exists[:, :, None, 0] & exists[:, None, :, 1])[..., None], crops, 0)

    return pool_in_chunks(features, boxes, size, spans, pool)


# Registering needs no library, and must precede the first gradient of a loaded model.
@tf.RegisterGradient("LhrcnnRoiPool")
def _gradient(op, gradient):
    attributes = {name: op.get_attr(name) for name in ("size", "spatial_scale")}
    return library().module.lhrcnn_roi_pool_grad(*op.inputs, gradient, **attributes), None


def _bins(boxes, size, spatial_scale, map_size):
    """First cell and the one after the last [n, P, 2] int32 of the bins of boxes [n, 4], rows and
    columns."""
    edges = tf.clip_by_value(boxes * np.float32(spatial_scale), -(2.0**30), 2.0**30)
    # tf.round takes halves to the even neighbour, this away from zero.
    whole = tf.floor(tf.abs(edges))
    whole = tf.sign(edges) * (whole + tf.cast(tf.abs(edges) - whole >= 0.5, tf.float32))
    first, last = whole[:, None, :2], whole[:, None, 2:]
    bin_size = tf.math.divide_no_nan(tf.maximum(last - first + 1, 1), tf.constant(size, tf.float32))
    number = tf.range(size, dtype=tf.float32)[:, None]
    # In float64, where the sum of a corner and an offset is exact.
    start, end = (
        tf.cast(offset, tf.float64) + tf.cast(first, tf.float64)
        for offset in (tf.floor(number * bin_size), tf.math.ceil((number + 1) * bin_size))
    )
    limit = tf.cast(map_size, tf.float64)
    return tf.cast(tf.clip_by_value(start, 0, limit), tf.int32), tf.cast(
        tf.clip_by_value(end, 0, limit), tf.int32
    )


def _first_maximum(values, axis):
    """Maximum over an axis; reduce_max would share the gradient among equal values."""

    @tf.custom_gradient
    def maximum(values):
        largest = tf.reduce_max(values, axis, keepdims=True)

        def gradient(upstream):
            number = tf.range(tf.shape(values)[axis])
            number = tf.reshape(number, [-1] + [1] * (values.shape.rank - axis - 1))
            winner = tf.reduce_min(
                tf.where(values == largest, number, tf.int32.max), axis, keepdims=True
            )
            return tf.where(number == winner, tf.expand_dims(upstream, axis), 0)

        return tf.squeeze(largest, axis), gradient

    return maximum(values)
