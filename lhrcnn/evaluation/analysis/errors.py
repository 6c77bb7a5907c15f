"""TIDE's six kinds of error and what each costs (Bolya et al., ECCV 2020, sections 2.2 and 2.3).

A crowd is no object here: what lies in one of its own class is no error, as in AP.
"""

import typing

import numpy as np

from lhrcnn.evaluation.analysis.curves import interpolated
from lhrcnn.evaluation.analysis.matches import Pairs, chosen
from lhrcnn.evaluation.columns import IOUS, closest, mean_of_known

KINDS = {
    "Cls": "an object, taken for another class",
    "Loc": "the right class, but a box that overlaps too little",
    "Both": "another class and a box that overlaps too little",
    "Dupe": "an object that a better detection has",
    "Bkg": "background",
    "Miss": "an object that was not found, nor nearly so",
}
CLS, LOC, BOTH, DUPE, BKG, MISS = range(6)
FOREGROUND, BACKGROUND = IOUS[0], 0.1


class Errors(typing.NamedTuple):
    """What is wrong with the detections and objects of `Matches`, at an IoU of 0.5."""

    kind: np.ndarray  # [D] of KINDS by number; -1: true, or counts neither way
    object: np.ndarray  # [D] what an error is about, -1 for background
    mends: np.ndarray  # [D] bool: correcting this class or box would find `object`
    missed: np.ndarray  # [G] bool: the kind Miss


def errors_of(matches):
    """The `Errors` of `Matches`."""
    found, objects = matches.found, matches.objects
    pairs = Pairs.between(found, objects)
    pairs = pairs.of((pairs.overlap >= BACKGROUND) & ~objects.crowd[pairs.object])
    same = found.classes[pairs.detection] == objects.classes[pairs.object]
    number = len(found.scores)
    own_iou, own = closest(*pairs.of(same), number)
    other_iou, other = closest(*pairs.of(~same), number)

    false = ~matches.true[0] & ~matches.ignored[0]
    choices = [  # the first that holds
        ((own_iou >= BACKGROUND) & (own_iou < FOREGROUND), LOC, own),
        (other_iou >= FOREGROUND, CLS, other),
        (own_iou >= FOREGROUND, DUPE, own),
        (other_iou >= BACKGROUND, BOTH, other),
    ]
    held = [false & condition for condition, _, _ in choices]
    kind = np.select(held, [kind for _, kind, _ in choices], np.where(false, BKG, -1))
    about = np.select(held, [place for _, _, place in choices], -1)

    unfound = ~objects.crowd
    unfound[matches.taken[0, matches.true[0]]] = False
    able = np.flatnonzero(np.isin(kind, (CLS, LOC)) & chosen(unfound, about, False))
    mends = np.zeros(number, bool)
    nearly, first = np.unique(about[able], return_index=True)  # the best by score
    mends[able[first]] = True
    missed = unfound.copy()
    missed[nearly] = False
    return Errors(kind, about, mends, missed)


def costs(matches, errors):
    """{kind: AP50 that is gained where all its errors are corrected, one kind at a time}.

    A detection is moved to its class or box, or dropped where it finds nothing new; missed objects
    are left out of the count."""
    found, objects = matches.found, matches.objects
    counted, true = ~matches.ignored[0], matches.true[0]
    needed, right = matches.counts(), chosen(objects.classes, errors.object, -1)
    missed = np.bincount(objects.classes[errors.missed], minlength=len(needed))
    base = _ap50(found.classes, counted, true, needed)
    gains = {}
    for number, name in enumerate(KINDS):
        mine = errors.kind == number
        mended = mine & errors.mends
        classes = np.where(mended, right, found.classes)
        needed_then = needed - missed if number == MISS else needed
        ap = _ap50(classes, counted & (~mine | mended), true | mended, needed_then)
        # A class all of whose objects are missed would have none left: it stays as it is.
        ap = np.where(np.isnan(ap), base, ap)
        gains[name] = float(mean_of_known(ap) - mean_of_known(base))
    return gains


def counts(errors):
    """{kind: number of errors}."""
    numbers = np.bincount(errors.kind[errors.kind >= 0], minlength=len(KINDS))
    numbers[MISS] = errors.missed.sum()
    return dict(zip(KINDS, numbers.tolist()))


def _ap50(classes, counted, true, needed):
    """AP50 [K] of detections by falling score; NaN where nothing is needed."""
    values = np.full(len(needed), np.nan)
    for k in np.flatnonzero(needed):
        hits = true[counted & (classes == k)]
        tp, number = np.cumsum(hits)[hits], np.flatnonzero(hits) + 1
        values[k] = interpolated(tp / needed[k], tp / number)
    return values


def shares(matches, errors):
    """(cost [D] of each detection that is an error, cost [G] of each missed object), to first order
    in AP50, as shares of the mean over classes.

    Dropping a false detection lifts the precision at all true ones of lower scores; one that mends
    also adds the precision at its score; a missed object costs its class's AP50 over its
    objects."""
    found, objects, needed = matches.found, matches.objects, matches.counts()
    counted, true = ~matches.ignored[0], matches.true[0]
    of_detection, of_object = np.zeros(len(found.scores)), np.zeros(len(objects.classes))
    mended_class = np.where(errors.mends, chosen(objects.classes, errors.object, -1), -1)
    ap = _ap50(found.classes, counted, true, needed)
    for k in np.flatnonzero(needed):
        mine = np.flatnonzero(counted & (found.classes == k))
        hits, number = true[mine], np.arange(1, len(mine) + 1)
        precision = np.cumsum(hits) / number
        lifted = np.where(hits, precision / np.maximum(number - 1, 1), 0)
        of_detection[mine] += (lifted.sum() - np.cumsum(lifted)) / needed[k]
        mending = np.flatnonzero(mended_class == k)
        place = np.searchsorted(-found.scores[mine], -found.scores[mending])
        before = np.append(0, np.cumsum(hits))[place]
        of_detection[mending] += (before + 1) / (place + 1) / needed[k]
        of_object[errors.missed & (objects.classes == k)] = ap[k] / needed[k]
    num_classes = max(int((needed > 0).sum()), 1)
    of_detection[errors.kind < 0] = 0
    return of_detection / num_classes, of_object / num_classes
