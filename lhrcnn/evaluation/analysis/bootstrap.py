"""How far numbers would move on other images: the bootstrap over images (Efron, 1979).

The images are drawn anew, with repetition, `rounds` times; intervals are percentiles. Two runs are
compared on the same draws, so that what both find hard or easy falls out.
"""

import numpy as np

ROUNDS = 500
LEVEL = 0.95


def weights_of(num_images, rounds=ROUNDS, seed=0):
    """Yields, `rounds` times, float64 [I]: how often each image is drawn."""
    generator = np.random.default_rng(seed)
    for _ in range(rounds):
        drawn = generator.integers(0, num_images, num_images)
        yield np.bincount(drawn, minlength=num_images).astype(float)


def resampled(columns, num_images, rounds=ROUNDS, seed=0, num_ious=10):
    """float64 [rounds, K, num_ious]: AP of the `ClassColumns` on each draw of the images."""
    draws = weights_of(num_images, rounds, seed)
    return np.array(
        [[part.ap(weights, num_ious=num_ious) for part in columns] for weights in draws]
    )


def mean_of_known(values, axes):
    """The mean over axes of what is no NaN: `np.nanmean`, but without its warning where there is
    nothing, as on a draw of images without an object."""
    known = ~np.isnan(values)
    number, sums = known.sum(axes), np.where(known, values, 0).sum(axes)
    return np.divide(sums, number, out=np.full(number.shape, np.nan), where=number > 0)


def interval(values):
    """(low, high): the middle 95 % of values [rounds]; NaN where none is known."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return float(low), float(high)


def p_value(differences):
    """Two-sided: how often draws deny the sign of a difference [rounds], at least 1 / rounds."""
    known = differences[~np.isnan(differences)]
    if not len(known):
        return float("nan")
    tail = min((known <= 0).mean(), (known >= 0).mean())
    return float(min(1.0, max(2 * tail, 1 / len(known))))
