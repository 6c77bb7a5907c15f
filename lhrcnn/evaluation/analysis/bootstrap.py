"""How far numbers would move on other images: the bootstrap over images (Efron, 1979).

The images are drawn anew, with repetition, `rounds` times; intervals are percentiles. Two runs are
compared on the same draws, so that what both find hard or easy falls out.
"""

import numpy as np

from lhrcnn.evaluation.columns import mean_of_known

ROUNDS = 500
LEVEL = 0.95
HEADLINES = {"AP": slice(None), "AP50": slice(0, 1), "AP75": slice(5, 6)}  # of the IoUs


def weights_of(num_images, rounds=ROUNDS, seed=0):
    """Yields, `rounds` times, float64 [I]: how often each image is drawn."""
    generator = np.random.default_rng(seed)
    for _ in range(rounds):
        drawn = generator.integers(0, num_images, num_images)
        yield np.bincount(drawn, minlength=num_images).astype(float)


def resampled(columns, num_images, rounds=ROUNDS):
    """float64 [rounds, K, T]: AP of the `ClassColumns` on each draw of the images."""
    draws = weights_of(num_images, rounds)
    return np.array([[part.ap(weights) for part in columns] for weights in draws])


def headlines(aps):
    """{"AP", "AP50", "AP75": [...]}, means over classes of AP [..., K, T] at COCO's IoUs."""
    return {name: mean_of_known(aps[..., ious], (-2, -1)) for name, ious in HEADLINES.items()}


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
