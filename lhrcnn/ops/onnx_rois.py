"""The RoI ops for graphs of other runtimes: ONNX's RoiAlign and MaxRoiPool, and gathers.

Letters: B images, H W rows and columns of the map, C channels, N boxes, P or G bins along a side,
S samples along a side of a bin. A box of no area gives anything.
"""

import functools

import numpy as np
import tensorflow as tf

from lhrcnn.ops.portable import onnx_operator


def roi_align(features, boxes, size, spatial_scale, sampling_ratio, aligned):
    """`lhrcnn.ops.roi_align.roi_align`: [B, N, P, P, C]."""
    pooled = onnx_operator(
        "RoiAlign",
        [_channels_first(features), _corners(boxes), _image_of(boxes)],
        [None, features.shape[3], size, size],
        mode="avg",
        output_height=size,
        output_width=size,
        sampling_ratio=int(sampling_ratio),
        spatial_scale=float(spatial_scale),
        coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
    )
    return _of_boxes(pooled, boxes)


def roi_pool(features, boxes, size, spatial_scale):
    """`lhrcnn.ops.roi_pool.roi_pool`: [B, N, P, P, C]."""
    image = tf.cast(_image_of(boxes), tf.float32)[:, None]
    pooled = onnx_operator(
        "MaxRoiPool",
        [_channels_first(features), tf.concat([image, _corners(boxes)], 1)],
        [None, features.shape[3], size, size],
        pooled_shape=[size, size],
        spatial_scale=float(spatial_scale),
    )
    return _of_boxes(pooled, boxes)


def ps_roi_align(features, boxes, group_size, spatial_scale, sampling_ratio, pool, aligned):
    """`lhrcnn.ops.psroi_align.ps_roi_align` of bin-major features: [B, N, G, G, C].

    In gathers, which all runtimes have and run quickly: OpenVINO's RoiAlign takes twice as long
    for a box per bin. Samples come first, so that everything else has long rows. M = B * N."""
    _, height, width, depth = features.shape
    bins, channels = group_size**2, depth // group_size**2
    # A border of zeros for samples outside of the map.
    table = tf.pad(features, [[0, 0], [1, 1], [1, 1], [0, 0]])
    table = tf.reshape(table, [-1, channels])
    cells = tf.reshape(boxes, [-1, 4, 1]) * float(np.float32(spatial_scale))
    cells = tf.where(tf.abs(cells) < 1e6, cells, 0.0) + (0.5 if aligned else 1.0)  # no NaN
    number = np.unravel_index(np.arange(bins), [group_size] * 2)  # of row and column
    rows, row_shares = _taps(
        cells[:, 0], cells[:, 2], number[0], group_size, sampling_ratio, height
    )
    columns, column_shares = _taps(
        cells[:, 1], cells[:, 3], number[1], group_size, sampling_ratio, width
    )
    image = tf.cast(_image_of(boxes), tf.int32)[:, None] * (height + 2)
    pixels = (image + rows)[:, None] * (width + 2) + columns  # [S, S, M, bins]
    index = tf.reshape(pixels * bins + np.arange(bins, dtype=np.int32), [sampling_ratio**2, -1])
    total = 0.0
    for below in (0, 1):
        for right in (0, 1):
            shares = tf.reshape(
                row_shares[below][:, None] * column_shares[right], [sampling_ratio**2, -1, 1]
            )
            step = (below * (width + 2) + right) * bins
            total += tf.gather(table, index + step) * shares
    samples = tf.unstack(total)
    if pool == "avg":
        pooled = tf.add_n(samples) / float(len(samples))
    else:
        pooled = functools.reduce(tf.maximum, samples)
    shape = [boxes.shape[0] or -1, tf.shape(boxes)[1], group_size, group_size, channels]
    return tf.reshape(pooled, shape)


def _taps(start, end, number, group_size, sampling_ratio, size):
    """The first [S, M, bins] of the two cells that samples lie between, and the shares of both.

    Along an axis of `size` cells and a border; start, end [M, 1] of boxes; number [bins]."""
    within = (np.arange(sampling_ratio) + 0.5) / sampling_ratio
    share = ((number + within[:, None]) / group_size).astype(np.float32)[:, None]  # [S, 1, bins]
    position = tf.clip_by_value(start * (1 - share) + end * share, 0.0, size + 1.0)
    first = tf.minimum(tf.cast(position, tf.int32), size)
    fraction = position - tf.cast(first, tf.float32)
    return first, (1.0 - fraction, fraction)


def _channels_first(features):
    return tf.transpose(features, [0, 3, 1, 2])


def _corners(boxes):
    """Boxes [..., 4] as (xmin, ymin, xmax, ymax) [n, 4]."""
    return tf.reshape(tf.gather(boxes, [1, 0, 3, 2], axis=-1), [-1, 4])


def _image_of(boxes):
    """The image of each box [B, N, 4]: [B * N] int64."""
    batch, number = tf.unstack(tf.shape(boxes, out_type=tf.int64)[:2])
    return tf.repeat(tf.range(batch), number)


def _of_boxes(pooled, boxes):
    """[B, N, P, P, C] of [B * N, C, P, P]."""
    last = tf.transpose(pooled, [0, 2, 3, 1])
    return tf.reshape(last, [boxes.shape[0] or -1, tf.shape(boxes)[1], *last.shape[1:]])
