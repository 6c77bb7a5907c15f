"""What RoIAlign and RoIPool share: checks, and pooling in chunks with stock TensorFlow ops.

Letters: B images, H W rows and columns of the map, C channels, N boxes, P bins along a side; n
boxes of a chunk, whose crops are h rows of w cells.
"""

import numpy as np
import tensorflow as tf

_DTYPES = (tf.float32, tf.float64, tf.float16, tf.bfloat16)
# The most boxes of a chunk, and the least and most elements that its crops may have, unless one
# alone has more.
_CHUNK_BOXES, _LEAST_ELEMENTS, _MOST_ELEMENTS = 256, 2**20, 2**24


def checked(features, boxes, size, spatial_scale):
    """features and boxes as tensors; ValueError for what can be seen to be wrong before they have
    values."""
    features, boxes = tf.convert_to_tensor(features), tf.convert_to_tensor(boxes)
    if not isinstance(size, (int, np.integer)) or size < 1:
        raise ValueError(
            f"size is {size!r}; it must be an integer of at least 1: the bins along a side of a "
            "box."
        )
    if not (np.isfinite(spatial_scale) and spatial_scale > 0):
        raise ValueError(
            f"spatial_scale is {spatial_scale!r}; it must be finite and positive: map cells per "
            "pixel, such as 1/16."
        )
    if features.dtype not in _DTYPES:
        raise ValueError(
            f"features are {features.dtype.name}; they must be "
            f"{', '.join(dtype.name for dtype in _DTYPES)}."
        )
    if boxes.dtype != tf.float32:
        raise ValueError(
            f"boxes are {boxes.dtype.name}; they must be float32, since 16 bits cannot hold a "
            "pixel coordinate."
        )
    batch = features.shape[0] if features.shape.rank == 4 else None
    if not features.shape.is_compatible_with([None] * 4) or not boxes.shape.is_compatible_with(
        [batch, None, 4]
    ):
        raise ValueError(
            "features must be [B, H, W, C] and boxes [B, N, 4], got shapes "
            f"{features.shape} and {boxes.shape}."
        )
    if features.shape.rank and 0 in features.shape[1:3]:
        raise ValueError(f"features must have at least one pixel, got shape {features.shape}.")
    return tf.ensure_shape(features, [None] * 4), tf.ensure_shape(boxes, [None, None, 4])


def pool_in_chunks(features, boxes, size, spans, pool):
    """Pools boxes of one size after the other, so that the crops of a chunk have little padding and
    bounded memory.

    Args:
      features: [B, H, W, C].
      boxes: [B, N, 4] float32; those without area or with a coordinate that is not finite give
        zeros and cost nothing.
      size: P.
      spans: a function (boxes [n, 4], map size [2]) -> the first row and column [n, 2] int32 that a
        box reads, and how
        many [n, 2] int32, at least one.
      pool: a function (crops [n, h, w, C], boxes [n, 4], first [n, 2], map size [2]) -> [n, P, P,
        C], differentiable
        with respect to the crops, which begin at `first`; cells beyond a box's own are copies of
        its last.

    Returns:
      [B, N, P, P, C] of the dtype of the features.
    """
    shape, num_boxes = tf.shape(features), tf.shape(boxes)[1]
    map_size, channels, dtype = shape[1:3], shape[3], features.dtype
    work_dtype = tf.float64 if dtype == tf.float64 else tf.float32
    pooled_shape = [
        features.shape[0] or boxes.shape[0],
        boxes.shape[1],
        size,
        size,
        features.shape[3],
    ]
    boxes = tf.reshape(tf.stop_gradient(boxes), [-1, 4])
    poolable = tf.reduce_all(tf.math.is_finite(boxes), 1) & tf.reduce_all(
        boxes[:, 2:] > boxes[:, :2], 1
    )
    positions = tf.cast(tf.where(poolable)[:, 0], tf.int32)
    first, cells = spans(tf.gather(boxes, positions), map_size)
    by_size = tf.argsort(cells[:, 0] * (map_size[1] + 1) + cells[:, 1])
    positions, first, cells = (tf.gather(values, by_size) for values in (positions, first, cells))

    def for_chunks(body, start, most_elements):
        """Repeats body(value, positions [n] of a chunk's boxes, first [n, 2], indices of the cells
        in the map [n, h, w]) -> value."""

        def step(begin, value):
            count, crop_size = _chunk(
                cells[begin : begin + _CHUNK_BOXES], most_elements // tf.maximum(channels, 1)
            )
            chunk = slice(begin, begin + count)
            rows, columns = (
                first[chunk, axis, None]
                + tf.minimum(tf.range(crop_size[axis]), cells[chunk, axis, None] - 1)
                for axis in (0, 1)
            )
            rows += (positions[chunk] // num_boxes * map_size[0])[:, None]
            return begin + count, body(
                value,
                positions[chunk],
                first[chunk],
                rows[:, :, None] * map_size[1] + columns[:, None],
            )

        return tf.while_loop(
            lambda begin, _: begin < tf.size(positions), step, [0, start], parallel_iterations=1
        )[1]

    @tf.custom_gradient
    def pooled(features):
        table = tf.reshape(features, [-1, channels])

        def forward(results, positions, first, indices):
            crops = tf.cast(tf.gather(table, indices), work_dtype)
            return results.write(
                results.size(), pool(crops, tf.gather(boxes, positions), first, map_size)
            )

        def backward(total, upstream, positions, first, indices):
            crops = tf.cast(tf.gather(table, indices), work_dtype)
            with tf.GradientTape() as tape:
                tape.watch(crops)
                results = pool(crops, tf.gather(boxes, positions), first, map_size)
            spread = tape.gradient(
                results, crops, tf.cast(tf.gather(upstream, positions), work_dtype)
            )
            return tf.tensor_scatter_nd_add(total, indices[..., None], spread)

        def gradient(upstream):
            upstream = tf.reshape(upstream, [-1, size, size, channels])
            # Every addition copies the map: crops of its size make that a small part of the work.
            most_elements = tf.clip_by_value(tf.size(features), _LEAST_ELEMENTS, _MOST_ELEMENTS)
            total = for_chunks(
                lambda total, *chunk: backward(total, upstream, *chunk),
                tf.zeros(tf.shape(table), work_dtype),
                most_elements,
            )
            return tf.cast(tf.reshape(total, shape), dtype)

        results = tf.TensorArray(
            work_dtype,
            size=1,
            dynamic_size=True,
            infer_shape=False,
            element_shape=[None, size, size, features.shape[3]],
        )
        results = results.write(
            0, tf.zeros([0, size, size, channels], work_dtype)
        )  # there may be no chunk
        results = tf.cast(for_chunks(forward, results, _LEAST_ELEMENTS).concat(), dtype)
        results = tf.scatter_nd(
            positions[:, None], results, [shape[0] * num_boxes, size, size, channels]
        )
        return tf.reshape(results, [shape[0], num_boxes, size, size, channels]), gradient

    return tf.ensure_shape(pooled(features), pooled_shape)


def _chunk(cells, most_cells):
    """How many of the boxes that read cells [n, 2], ascending by rows, to crop at once, and the
    size [2] of these crops."""
    number = tf.shape(cells)[0]
    most_columns = tf.reduce_max(
        tf.linalg.band_part(tf.repeat(cells[None, :, 1], number, 0), -1, 0), 1
    )
    total = tf.cast(cells[:, 0] * most_columns, tf.int64) * tf.range(
        1, tf.cast(number, tf.int64) + 1
    )
    count = tf.maximum(
        tf.math.count_nonzero(total <= tf.cast(most_cells, tf.int64), dtype=tf.int32), 1
    )
    return count, tf.stack([cells[count - 1, 0], most_columns[count - 1]])
