"""The RoI ops for graphs of other runtimes: ONNX's RoiAlign, MaxRoiPool and GridSample; gathers.

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

    By GridSample, to which each bin's channels are an image of their own; long rows of boxes come
    last. It takes half of the time of gathers, and a RoiAlign for each bin takes twice theirs."""
    batch, height, width, depth = features.shape
    bins, number = group_size**2, boxes.shape[1]
    maps = tf.reshape(_channels_first(features), [-1, depth // bins, height, width])
    cells = _cells(boxes, spatial_scale) - (0.5 if aligned else 0.0)
    share_y, share_x = _shares(group_size, sampling_ratio)  # [S, bins]

    def coordinates(start, end, share, size):  # -1 and 1: the borders of the map; [B, bins, S, N]
        share = share.T[:, :, None]
        position = start[:, None, None] * (1 - share) + end[:, None, None] * share
        return (position + 0.5) * (2.0 / size) - 1.0

    y = coordinates(cells[..., 0], cells[..., 2], share_y, height)[:, :, :, None]
    x = coordinates(cells[..., 1], cells[..., 3], share_x, width)[:, :, None]
    grid = x[..., None] * [1.0, 0.0] + y[..., None] * [0.0, 1.0]  # quicker than a stack
    samples = onnx_operator(
        "GridSample",
        [maps, tf.reshape(grid, [-1, sampling_ratio**2, number or tf.shape(boxes)[1], 2])],
        [batch and batch * bins, depth // bins, sampling_ratio**2, number],
        mode="bilinear",
        padding_mode="zeros",
        align_corners=0,
    )
    pooled = _pooled(tf.unstack(samples, axis=2), pool)
    pooled = tf.reshape(pooled, [batch or -1, bins, depth // bins, number or tf.shape(boxes)[1]])
    shape = [boxes.shape[0] or -1, tf.shape(boxes)[1], group_size, group_size, depth // bins]
    return tf.reshape(tf.transpose(pooled, [0, 3, 1, 2]), shape)


def ps_roi_align_in_gathers(
    features, boxes, group_size, spatial_scale, sampling_ratio, pool, aligned
):
    """`ps_roi_align` for runtimes without GridSample.

    Samples come first, so that everything else has long rows. M = B * N."""
    _, height, width, depth = features.shape
    bins, channels = group_size**2, depth // group_size**2
    # A border of zeros for samples outside of the map.
    table = tf.pad(features, [[0, 0], [1, 1], [1, 1], [0, 0]])
    table = tf.reshape(table, [-1, channels])
    cells = _cells(tf.reshape(boxes, [-1, 4, 1]), spatial_scale) + (0.5 if aligned else 1.0)
    share_y, share_x = _shares(group_size, sampling_ratio)
    rows, row_shares = _taps(cells[:, 0], cells[:, 2], share_y, height)
    columns, column_shares = _taps(cells[:, 1], cells[:, 3], share_x, width)
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
    pooled = _pooled(tf.unstack(total), pool)
    shape = [boxes.shape[0] or -1, tf.shape(boxes)[1], group_size, group_size, channels]
    return tf.reshape(pooled, shape)


def _pooled(samples, pool):
    """The mean or maximum of a list of tensors. A ReduceMax before products in 8 bits gives wrong
    values in OpenVINO 2026.4."""
    if pool == "avg":
        return tf.add_n(samples) / float(len(samples))
    return functools.reduce(tf.maximum, samples)


def _cells(boxes, spatial_scale):
    """Boxes in cells of the map; numbers that are none, or far too large, become 0."""
    cells = boxes * float(np.float32(spatial_scale))
    return tf.where(tf.abs(cells) < 1e6, cells, 0.0)


def _shares(group_size, sampling_ratio):
    """How far down and how far to the right in its box each sample of each bin lies: [S, bins]."""
    number = np.unravel_index(np.arange(group_size**2), [group_size] * 2)  # of row and column
    within = (np.arange(sampling_ratio)[:, None] + 0.5) / sampling_ratio
    return [((axis + within) / group_size).astype(np.float32) for axis in number]


def _taps(start, end, share, size):
    """The first [S, M, bins] of the two cells that samples lie between, and the shares of both.

    Along an axis of `size` cells and a border; start, end [M, 1] of boxes; share [S, bins]."""
    share = share[:, None]
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
