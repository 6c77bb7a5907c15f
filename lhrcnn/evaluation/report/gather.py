"""The numbers of a report, as one dict for JSON.

Shape letters: I images, K classes, D detections by falling score, G objects.
"""

import numpy as np

from lhrcnn.evaluation.analysis import bootstrap, curves, errors, groups
from lhrcnn.evaluation.analysis.confusion import confusion_matrix
from lhrcnn.evaluation.analysis.lrp import lrp_of
from lhrcnn.evaluation.analysis.matches import match

NUM_POINTS = 101  # of a drawn curve
NUM_SUSPECTS = 100


def gather(dataset, detections, scored, about, rounds=bootstrap.ROUNDS):
    """({part of the report: its numbers}, `Matches`, `Errors`) of `Detections` on a `Dataset`.

    scored: {metric: its numbers} of `scoring.score`; about: {key: value} of what was evaluated."""
    matches = match(dataset, detections)
    mistakes = errors.errors_of(matches)
    columns = curves.columns_of(matches)
    points = [curves.curve(part) for part in columns]
    best = [curves.best_threshold(part) for part in points]
    draws = bootstrap.resampled(columns, len(matches.records), rounds)
    lrp, lrp_means = lrp_of(matches)
    least = [part["score"] if part else np.inf for part in best]
    counted = ~matches.ignored[0]
    data = {
        "about": {
            **about,
            "objects": int(matches.counts().sum()),
            "to be ignored": int(matches.objects.crowd.sum()),
            "detections": len(detections),
        },
        "metrics": scored,
        "intervals": _intervals(columns, draws),
        "rounds": rounds,
        "classes": _class_rows(matches, columns, draws, best, lrp),
        "lrp": lrp_means,
        "errors": _error_rows(matches, mistakes),
        "confusion": {
            "names": [*matches.names, "background"],
            "matrix": confusion_matrix(matches, least).tolist(),
        },
        "calibration": curves.calibration(
            matches.found.scores[counted], matches.true[0, counted].astype(float)
        ),
        "groups": groups.ap_of_groups(matches, groups.groups_of(matches)),
        "curves": [_drawn(columns[k], points[k]) for k in range(len(columns))],
        "suspects": _suspects(matches, mistakes, least),
    }
    return data, matches, mistakes


def _intervals(columns, draws):
    """{"AP", "AP50", "AP75": [value, low, high]}, means over classes."""
    values = bootstrap.headlines(np.array([part.ap() for part in columns]))
    of_draws = bootstrap.headlines(draws)
    return {
        name: [float(value), *bootstrap.interval(of_draws[name])] for name, value in values.items()
    }


def _class_rows(matches, columns, draws, best, lrp):
    counted, true = ~matches.ignored[0], matches.true[0].astype(float)

    def row(k, name):
        mine, ap = counted & (matches.found.classes == k), columns[k].ap()
        return {
            "name": name,
            "objects": int(matches.counts()[k]),
            "AP": [float(ap.mean()), *bootstrap.interval(draws[:, k].mean(axis=1))],
            "AP50": [float(ap[0]), *bootstrap.interval(draws[:, k, 0])],
            "best": best[k],
            "lrp": lrp[k],
            "ece": curves.calibration(matches.found.scores[mine], true[mine])["ece"],
        }

    return [row(k, name) for k, name in enumerate(matches.names)]


def _error_rows(matches, mistakes):
    numbers, costs = errors.counts(mistakes), errors.costs(matches, mistakes)
    return {
        kind: {"meaning": meaning, "count": numbers[kind], "cost": costs[kind]}
        for kind, meaning in errors.KINDS.items()
    }


def _drawn(columns, points):
    """Curves of one class at NUM_POINTS places: precision over recall at IoU .5 and .75, and F1
    over the threshold on the score."""
    at = np.linspace(0, 1, NUM_POINTS)
    scores = points["scores"][::-1]  # rising
    place = np.searchsorted(scores, at, side="left")
    f1 = np.append(points["f1"][::-1], 0.0)[place]
    lines = {"precision50": points, "precision75": curves.curve(columns, 5)}
    drawn = {
        name: curves.precision_at(line["recall"], line["precision"], at)
        for name, line in lines.items()
    }
    return {name: values.round(4).tolist() for name, values in {**drawn, "f1": f1}.items()}


def _suspects(matches, mistakes, least):
    """Objects that may be missing from the labels, the most confident first, and labels that no
    detection of any score comes near, the largest first."""
    found, objects = matches.found, matches.objects
    confident = found.scores >= np.asarray(least)[found.classes]
    unlabelled = np.flatnonzero((mistakes.kind == errors.BKG) & confident)[:NUM_SUSPECTS]
    met = np.zeros(len(objects.classes), bool)
    met[mistakes.object[mistakes.object >= 0]] = True
    met[matches.taken[0][matches.taken[0] >= 0]] = True
    never = np.flatnonzero(mistakes.missed & ~met)
    never = never[np.argsort(-objects.areas[never], kind="stable")][:NUM_SUSPECTS]

    def row(columns, place):
        record = matches.records[columns.images[place]]
        return {
            "image": record.shown_id,
            "path": record.path,
            "class": matches.names[columns.classes[place]],
            "box": columns.boxes[place].round(1).tolist(),
        }

    return {
        "unlabelled": [{**row(found, d), "score": float(found.scores[d])} for d in unlabelled],
        "never found": [row(objects, g) for g in never],
    }
