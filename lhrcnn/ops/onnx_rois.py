"""The RoI ops by ONNX's own operators, RoiAlign and MaxRoiPool, for graphs that become ONNX files.

Letters: B images, H W rows and columns of the map, C channels, N boxes, P or G bins along a side,
S samples along a side of a bin. A box of no area gives anything.
"""

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

    Each bin is a box of its own on a map of its own, with a border of zeros, since RoiAlign repeats
    what is at the border. Samples are RoiAlign's bins, of which the maximum is taken here: runtimes
    do not agree on RoiAlign's."""
    _, height, width, depth = features.shape
    bins, channels = group_size**2, depth // group_size**2
    maps = tf.transpose(tf.reshape(features, [-1, height, width, bins, channels]), [0, 3, 4, 1, 2])
    maps = tf.reshape(maps, [-1, channels, height, width])
    maps = tf.pad(maps, [[0, 0], [0, 0], [1, 1], [1, 1]])
    cells = _corners(boxes) * float(np.float32(spatial_scale))
    # RoiAlign takes off half a cell; the border adds one.
    shift = 1.5 - (0.5 if aligned else 0.0)
    corners = tf.matmul(cells, _bins_of_corners(group_size)) + shift
    corners = tf.reshape(corners, [-1, 4])  # [B * N * bins, 4]
    own_map = _image_of(boxes)[:, None] * bins + np.arange(bins)
    side = 1 if pool == "avg" else int(sampling_ratio)
    pooled = onnx_operator(
        "RoiAlign",
        [maps, corners, tf.reshape(own_map, [-1])],
        [None, channels, side, side],
        mode="avg",
        output_height=side,
        output_width=side,
        sampling_ratio=int(sampling_ratio) // side,
        spatial_scale=1.0,
        coordinate_transformation_mode="half_pixel",
    )
    shape = [boxes.shape[0] or -1, tf.shape(boxes)[1], group_size, group_size, channels]
    return tf.reshape(tf.reduce_max(pooled, [2, 3]), shape)


def _bins_of_corners(group_size):
    """float32 [4, bins * 4]: the corners of all bins as sums of parts of a box's corners.

    One small product, since broadcasting along an axis of 2 or 4 is slow in onnxruntime."""
    number = np.stack(np.unravel_index(np.arange(group_size**2), [group_size] * 2), -1)
    share = np.concatenate([number, number + 1], -1)[:, [1, 0, 3, 2]] / group_size  # [bins, 4]
    parts = np.zeros([4, group_size**2, 4], np.float32)
    for column in range(4):
        parts[column % 2, :, column] = 1 - share[:, column]
        parts[column % 2 + 2, :, column] = share[:, column]
    return parts.reshape(4, -1)


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
