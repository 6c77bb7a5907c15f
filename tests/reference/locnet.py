"""LocNet's targets, loss and decoding, one cell at a time."""

import math

import numpy as np

ROWS = {"in_out": ["inside"], "borders": ["first", "last"], "combined": ["inside", "first", "last"]}


def cells_of(start, end, region_start, region_end, cells):
    """Cells (first, last) that the borders of [start, end) lie in; two neighbours where they are
    one cell."""
    size = (region_end - region_start) / cells
    first, last = (
        min(max(math.floor((border - region_start) / size), 0), cells - 1)
        for border in (start, end)
    )
    if first == last:
        first, last = (first - 1, last) if first > 0 else (0, 1)
    return first, last


def targets(box, region, model, cells):
    """[2, Q, M] of 0 and 1."""
    result = np.zeros([2, len(ROWS[model]), cells])
    for axis in range(2):
        first, last = cells_of(box[axis], box[axis + 2], region[axis], region[axis + 2], cells)
        for q, row in enumerate(ROWS[model]):
            if row == "inside":
                result[axis, q, first : last + 1] = 1
            else:
                result[axis, q, first if row == "first" else last] = 1
    return result


def loss(logits, target, model):
    """Mean over all elements of the weighted cross-entropy; twice that for "combined"."""
    cells, total = logits.shape[-1], 0.0
    for axis in range(2):
        for q, row in enumerate(ROWS[model]):
            for x, t in zip(logits[axis, q], target[axis, q]):
                weight = 1.0 if row == "inside" else cells / 2 if t else 0.5 * cells / (cells - 1)
                total -= weight * (
                    t * math.log(1 / (1 + math.exp(-x))) + (1 - t) * math.log(1 / (1 + math.exp(x)))
                )
    return total / logits.size * (2 if model == "combined" else 1)


def pair_cost(logits, model, first, last):
    """What the authors' decoder minimises for one axis: the cost of a first and last cell; logits
    [Q, M]."""
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    log_p, log_q = np.log(np.maximum(p, 1e-4)), np.log(np.maximum(1 - p, 1e-4))
    row, cost = {name: q for q, name in enumerate(ROWS[model])}, 0.0
    if "inside" in row:
        cost += sum(
            log_q[row["inside"], i] - log_p[row["inside"], i] for i in range(first, last + 1)
        )
    if "first" in row:
        cost -= log_p[row["first"], first] + log_p[row["last"], last]
    if model == "combined":
        cost += log_q[row["first"], first] + log_q[row["last"], last]
    return cost


def least_cost(logits, model):
    """The least cost of all pairs first < last."""
    cells = logits.shape[1]
    return min(pair_cost(logits, model, a, b) for a in range(cells) for b in range(a + 1, cells))
