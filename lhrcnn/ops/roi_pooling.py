"""What RoIAlign and RoIPool share: checks, and pooling in chunks in pure TensorFlow.

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
    """As `checked_inputs`, with the options that RoIAlign and RoIPool have in common."""
    if not isinstance(size, (int, np.integer)) or size < 1:
        raise ValueError(
            f"size is {size!r}; it must be an integer of at least 1: the bins along a side of a "
            "box."
        )
    check_scale(spatial_scale)
    return checked_inputs(features, boxes)


def check_scale(spatial_scale):
    """Raises ValueError for what is no scale of a map."""
    if not (np.isfinite(spatial_scale) and spatial_scale > 0):
        raise ValueError(
            f"spatial_scale is {spatial_scale!r}; it must be finite and positive: map cells per "
            "pixel, such as 1/16."
        )


def checked_inputs(features, boxes, channels="C"):
    """features and boxes as tensors; ValueError for what can be seen to be wrong before they have
    values. channels: what a message calls the last axis of the features."""
    features, boxes = tf.convert_to_tensor(features), tf.convert_to_tensor(boxes)
    if features.dtype not in _DTYPES:
        raise ValueError(
            f"features are {features.dtype.name}; they must be "
            f"{', '.join(dtype.name for dtype in _DTYPES)}."
        )
    if boxes.dtype != tf.float32:
        raise ValueError(
            f"boxes are {boxes.dtype.name}; they must be float32, since 16 bits cannot hold a "
            "pixel coordinate. Cast them, or keep them out of autocast."
        )
    batch = features.shape[0] if features.shape.rank == 4 else None
    fits = boxes.shape.is_compatible_with([batch, None, 4])
    if not fits or not features.shape.is_compatible_with([None] * 4):
        raise ValueError(
            f"features must be [B, H, W, {channels}] and boxes [B, N, 4] with the B of the "
            f"features, got shapes {features.shape} and {boxes.shape}."
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
    pooling = _Pooling(features, boxes, size, spans, pool)

    @tf.custom_gradient
    def pooled(features):
        return pooling.forward(features), lambda upstream: pooling.gradient(features, upstream)

    batch = features.shape[0] or boxes.shape[0]
    shape = [batch, boxes.shape[1], size, size, features.shape[3]]
    return tf.ensure_shape(pooled(features), shape)


class _Pooling:
    """What `pool_in_chunks` does with all maps of the shape and type of `features`."""

    def __init__(self, features, boxes, size, spans, pool):
        self.shape, self.num_boxes, self.size = tf.shape(features), tf.shape(boxes)[1], size
        self.map_size, self.channels = self.shape[1:3], self.shape[3]
        self.dtype, self.static_channels = features.dtype, features.shape[3]
        self.work_dtype = tf.float64 if features.dtype == tf.float64 else tf.float32
        self.boxes, self.pool = tf.reshape(tf.stop_gradient(boxes), [-1, 4]), pool
        finite = tf.reduce_all(tf.math.is_finite(self.boxes), 1)
        poolable = finite & tf.reduce_all(self.boxes[:, 2:] > self.boxes[:, :2], 1)
        positions = tf.cast(tf.where(poolable)[:, 0], tf.int32)
        first, cells = spans(tf.gather(self.boxes, positions), self.map_size)
        by_size = tf.argsort(cells[:, 0] * (self.map_size[1] + 1) + cells[:, 1])
        self.positions, self.first, self.cells = (
            tf.gather(values, by_size) for values in (positions, first, cells)
        )

    def forward(self, features):
        """Pooled boxes [B, N, P, P, C] of features [B, H, W, C]."""
        table = tf.reshape(features, [-1, self.channels])

        def add(results, positions, first, indices):
            return results.write(results.size(), self._crop(table, positions, first, indices)[1])

        results = tf.TensorArray(
            self.work_dtype,
            size=1,
            dynamic_size=True,
            infer_shape=False,
            element_shape=[None, self.size, self.size, self.static_channels],
        )
        bins = [self.size, self.size, self.channels]
        results = results.write(0, tf.zeros([0, *bins], self.work_dtype))  # there may be no chunk
        results = self._for_chunks(add, results, _LEAST_ELEMENTS).concat()
        results = tf.scatter_nd(
            self.positions[:, None],
            tf.cast(results, self.dtype),
            [self.shape[0] * self.num_boxes, *bins],
        )
        return tf.reshape(results, [self.shape[0], self.num_boxes, *bins])

    def gradient(self, features, upstream):
        """The gradient [B, H, W, C] of features, of that of pooled boxes [B, N, P, P, C]."""
        table = tf.reshape(features, [-1, self.channels])
        upstream = tf.reshape(upstream, [-1, self.size, self.size, self.channels])

        def add(total, positions, first, indices):
            with tf.GradientTape() as tape:
                crops, results = self._crop(table, positions, first, indices, tape)
            own = tf.cast(tf.gather(upstream, positions), self.work_dtype)
            spread = tape.gradient(results, crops, own)
            return tf.tensor_scatter_nd_add(total, indices[..., None], spread)

        # Every addition copies the map: crops of its size make that a small part of the work.
        most_elements = tf.clip_by_value(tf.size(features), _LEAST_ELEMENTS, _MOST_ELEMENTS)
        total = self._for_chunks(add, tf.zeros(tf.shape(table), self.work_dtype), most_elements)
        return tf.cast(tf.reshape(total, self.shape), self.dtype)

    def _crop(self, table, positions, first, indices, tape=None):
        """(crops [n, h, w, C], pooled [n, P, P, C]) of a chunk; a tape watches the crops."""
        crops = tf.cast(tf.gather(table, indices), self.work_dtype)
        if tape is not None:
            tape.watch(crops)
        return crops, self.pool(crops, tf.gather(self.boxes, positions), first, self.map_size)

    def _for_chunks(self, body, start, most_elements):
        """Repeats body(value, positions [n] of a chunk's boxes, first [n, 2], indices of the cells
        in the table [n, h, w]) -> value."""
        most_cells = most_elements // tf.maximum(self.channels, 1)

        def step(begin, value):
            count, crop_size = _chunk(self.cells[begin : begin + _CHUNK_BOXES], most_cells)
            chunk = slice(begin, begin + count)
            rows, columns = (
                self.first[chunk, axis, None]
                + tf.minimum(tf.range(crop_size[axis]), self.cells[chunk, axis, None] - 1)
                for axis in (0, 1)
            )
            image = self.positions[chunk] // self.num_boxes
            rows += (image * self.map_size[0])[:, None]
            indices = rows[:, :, None] * self.map_size[1] + columns[:, None]
            return begin + count, body(value, self.positions[chunk], self.first[chunk], indices)

        number = tf.size(self.positions)
        return tf.while_loop(
            lambda begin, _: begin < number, step, [0, start], parallel_iterations=1
        )[1]


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
