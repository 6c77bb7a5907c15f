"""Whether one set of detections is better than another on the same images, or only luckier."""

import numpy as np

from lhrcnn.evaluation.analysis import bootstrap, curves, errors
from lhrcnn.evaluation.analysis.matches import match

NUM_IMAGES = 20  # told per direction


def compare(dataset, first, second, rounds=bootstrap.ROUNDS):
    """{"AP", "AP50", "AP75", "classes", "errors", "images"}: what `second` changes, both being
    `Detections` on a `Dataset`.

    Each number is {"first", "second", "difference", "low", "high", "p"}: the 95 % interval and the
    two-sided p-value of a paired bootstrap over images. errors: TIDE's kinds, {"first", "second":
    {"count", "cost"}}. images: {"gained": objects that `second` alone finds, "lost": the other way
    round}, from the images with most."""
    matches = [match(dataset, found) for found in (first, second)]
    columns = [curves.columns_of(part) for part in matches]
    aps = np.array([[part.ap() for part in parts] for parts in columns])
    # The same seed: both see the same draws.
    draws = np.array([bootstrap.resampled(part, len(dataset.records), rounds) for part in columns])
    values, of_draws = bootstrap.headlines(aps), bootstrap.headlines(draws)
    known = ~np.isnan(aps[0, :, 0])
    return {
        **{name: difference(values[name], of_draws[name]) for name in values if known.any()},
        "classes": {
            name: difference(aps[:, k].mean(axis=1), draws[:, :, k].mean(axis=2))
            for k, name in enumerate(matches[0].names)
            if known[k]
        },
        "errors": _errors(matches),
        "images": _images(matches, columns),
    }


def difference(values, draws):
    """What `compare` says of two numbers, values [2], and of them on each draw, draws [2, rounds].

    `low` and `high` are NaN where no draw has the number."""
    change = draws[1] - draws[0]
    low, high = bootstrap.interval(change)
    first, second = (float(value) for value in values)
    return {
        "first": first,
        "second": second,
        "difference": second - first,
        "low": low,
        "high": high,
        "p": bootstrap.p_value(change),
    }


def _errors(matches):
    parts = [(part, errors.errors_of(part)) for part in matches]
    counts = [errors.counts(mistakes) for _, mistakes in parts]
    costs = [errors.costs(*part) for part in parts]
    return {
        kind: {
            side: {"count": count[kind], "cost": cost[kind]}
            for side, count, cost in zip(("first", "second"), counts, costs)
        }
        for kind in errors.KINDS
    }


def _found(matches, columns):
    """bool [G], the objects found at IoU .5 by detections of at least their class's best score."""
    best = [curves.best_threshold(curves.curve(part)) for part in columns]
    least = np.array([part["score"] if part else np.inf for part in best])
    kept = matches.true[0] & (matches.found.scores >= least[matches.found.classes])
    found = np.zeros(len(matches.objects.classes), bool)
    found[matches.taken[0, kept]] = True
    return found


def _images(matches, columns):
    first, second = (_found(*parts) for parts in zip(matches, columns))
    objects, records = matches[0].objects, matches[0].records
    told = {}
    for name, changed in (("gained", second & ~first), ("lost", first & ~second)):
        numbers = np.bincount(objects.images[changed], minlength=len(records))
        order = np.argsort(-numbers, kind="stable")[:NUM_IMAGES]
        images = []
        for image in order[numbers[order] > 0]:
            classes = objects.classes[changed & (objects.images == image)]
            names = [matches[0].names[k] for k in classes]
            images.append({"image": records[image].shown_id, "objects": names})
        told[name] = {"objects": int(changed.sum()), "images": images}
    return told
