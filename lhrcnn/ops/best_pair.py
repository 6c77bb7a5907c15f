"""LocNet's search over pairs of cells: a compiled op and its fallback in pure TensorFlow."""

import math

import tensorflow as tf

from lhrcnn.ops.compiled import compiled_ops


def best_pair(terms, limit, *, inside, borders, implementation="auto"):
    """The cells first < last of the highest first[a] + inside[a] + ... + inside[b] + last[b], or
    sigmoid(first[a]) * sigmoid(last[b]).

    Args:
      terms: [n, Q, M] float32 of M >= 2 cells, Q rows: one of `inside`, then one of `first` and one
        of `last`; no gradient.
      limit: the largest absolute value of a term; those beyond count as it.
      inside, borders: which of them there are: terms of `inside`, or of both, are added up, borders
      alone are multiplied.
      implementation: "custom" (compiled, for CPUs), "tf" (pure TensorFlow, anywhere) or "auto"
        ("custom" where it can be had and there is no GPU).

    Returns:
      Cells [n, 2] float32, whole numbers: of equally high ones the first found, by `last`. NaN
      where all are NaN.

    Raises:
      RuntimeError: "custom" was asked for and cannot be had; the message says why.

    Source: LocNet (Gidaris & Komodakis 2016), section 3.3: the exhaustive search in one pass over
    the last cell, which keeps the best first cell so far.
    """
    ops = compiled_ops(implementation, "best pair")
    if ops:
        return ops.lhrcnn_best_pair(terms, limit=limit, inside=inside, borders=borders)
    # Cells before boxes: steps over them are contiguous.
    terms = tf.transpose(tf.clip_by_value(terms, -limit, limit), [1, 2, 0])
    rows = [tf.unstack(row) for row in tf.unstack(terms if inside else tf.sigmoid(terms))]
    zero = [0.0] * len(rows[0])
    first, last = rows[-2:] if borders else (zero, zero)
    of_inside = rows[0] if inside else zero
    sum_inside, start, start_cell = of_inside[0], first[0] + tf.zeros_like(rows[0][0]), 0
    score, first_cell, last_cell = -math.inf, 0, 1
    for cell in range(1, len(of_inside)):
        new_start, sum_inside = first[cell] - sum_inside, sum_inside + of_inside[cell]
        total = start + sum_inside + last[cell] if inside else start * last[cell]
        better = total > score
        score, first_cell, last_cell = (
            tf.where(better, new, old)
            for new, old in ((total, score), (start_cell, first_cell), (cell, last_cell))
        )
        better = new_start > start
        start, start_cell = tf.where(better, new_start, start), tf.where(better, cell, start_cell)
    cells = tf.cast(tf.stack([first_cell, last_cell], -1), tf.float32)
    return tf.where(score[:, None] > -math.inf, cells, math.nan)
