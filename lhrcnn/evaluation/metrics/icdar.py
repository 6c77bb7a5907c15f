"""Scene-text detection as the ICDAR robust reading competitions score it: recall, precision and
their harmonic mean.

DetEval (Wolf & Jolion, Object count/area graphs, IJDAR 2006) allows for words that are split or
merged; it is counted as the public script of ICDAR 2013 does, which differs from the paper in the
weight of merged words. The IoU protocol of ICDAR 2015 matches one to one. Both judge a set of
boxes, so that detections need a threshold on their scores.
Shape letters: G words of ground truth in an image, D detections. Arrays [G, D] of shares: recall
is the overlap's part of the word's area, precision its part of the detection's.
"""

import numpy as np

from lhrcnn.data.overlaps import common

AREA_RECALL, AREA_PRECISION, SPLIT_SCORE = 0.8, 0.4, 0.8
MIN_IOU, MAX_IGNORED = 0.5, 0.5


def deteval_metrics(dataset, detections, options):
    """DetEval's {"hmean", "recall", "precision"} as ICDAR 2013's script counts it.

    An entry of `METRICS`; see `_text_metrics`."""
    return _text_metrics(dataset, detections, options.text_score, deteval, AREA_PRECISION)


def wolf_jolion_metrics(dataset, detections, options):
    """DetEval's numbers with Wolf and Jolion's own weight of merged words, 0.8 instead of 1.

    An entry of `METRICS`; see `_text_metrics`."""

    def match(*arrays):
        return deteval(*arrays, merged_score=SPLIT_SCORE)

    return _text_metrics(dataset, detections, options.text_score, match, AREA_PRECISION)


def icdar_iou_metrics(dataset, detections, options):
    """ICDAR 2015's {"hmean", "recall", "precision"}, an entry of `METRICS`; see `_text_metrics`."""
    return _text_metrics(dataset, detections, options.text_score, one_to_one, MAX_IGNORED)


def _text_metrics(dataset, detections, score_threshold, match, most_ignored):
    """The numbers of the `Detections` of at least a score, by `match`, one of the protocols below.

    Words to be ignored need not be found, and detections that lie in one by more than the share
    `most_ignored` count neither way."""
    sums = np.zeros(4)
    order = np.argsort(detections.image_ids, kind="stable")
    ids = np.asarray(detections.image_ids)[order]
    for record in dataset.records:
        first, last = (np.searchsorted(ids, record.image_id, side) for side in ("left", "right"))
        mine = order[first:last]
        mine = mine[detections.scores[mine] >= score_threshold]
        mine = mine[np.argsort(-detections.scores[mine], kind="stable")]
        found = np.asarray(detections.boxes[mine], np.float64)
        recall, precision = overlaps(np.asarray(record.boxes, np.float64), found)
        words = ~record.ignore
        judged = ~(precision[record.ignore] > most_ignored).any(axis=0)
        sums += (*match(recall, precision, words, judged), words.sum(), judged.sum())
    recall, precision = (total / max(count, 1) for total, count in zip(sums[:2], sums[2:]))
    return {
        "hmean": 2 * recall * precision / (recall + precision) if recall + precision else 0.0,
        "recall": recall,
        "precision": precision,
    }


def deteval(recall, precision, words, found, merged_score=1.0):
    """(recall score, precision score), sums over the words and over the detections of an image, of
    overlaps [G, D].

    words [G] and found [D]: bool, which count; a pair of others still keeps a third from being the
    only one. A pair is one to one, for 1 each, where it alone in its row and column has recall 0.8
    and precision 0.4, and neither box overlaps another that counts. Then a word split into
    detections that lie in it (precision 0.4 each, recall 0.8 together) gives 0.8 for every box
    involved; then words merged in one detection (recall 0.8 each, precision 0.4 together) give
    `merged_score`. Both ask for two overlaps, of which one may do alone, for 1.
    The script's rule that the centres of a pair be nearer than half the sum of the diagonals holds
    for any two upright boxes that overlap."""
    free_words, free_found = words.copy(), found.copy()
    of_word = (recall[:, found] > 0).sum(1)
    of_found = (recall[words] > 0).sum(0)
    scores = np.zeros(2)

    def take(chosen, places, score):
        """Scores some words that match some detections, one of either; they are free no more."""
        free_words[chosen], free_found[places] = False, False
        single = len(chosen) == len(places) == 1
        scores[:] += np.array([len(chosen), len(places)]) * (1.0 if single else score)

    close = (recall >= AREA_RECALL) & (precision >= AREA_PRECISION)
    alone = close & (close.sum(1, keepdims=True) == 1) & (close.sum(0, keepdims=True) == 1)
    alone &= (of_word == 1)[:, None] & (of_found == 1) & words[:, None] & found
    for word, place in np.argwhere(alone):
        take([word], [place], 1.0)
    for word in np.flatnonzero(free_words & (of_word > 1)):
        parts = np.flatnonzero(free_found & (precision[word] >= AREA_PRECISION))
        if round(recall[word, parts].sum(), 4) >= AREA_RECALL:
            take([word], parts, SPLIT_SCORE)
    for place in np.flatnonzero(free_found & (of_found > 1)):
        parts = np.flatnonzero(free_words & (recall[:, place] >= AREA_RECALL))
        if round(precision[parts, place].sum(), 4) >= AREA_PRECISION:
            take(parts, [place], merged_score)
    return scores


def one_to_one(recall, precision, words, found):
    """As `deteval`: the number of pairs, taken word by word, of an IoU above 0.5 between boxes that
    have no partner yet."""
    with np.errstate(divide="ignore"):
        iou = 1 / (1 / recall + 1 / precision - 1)
    free, matches = found.copy(), 0
    for word in np.flatnonzero(words):
        partners = np.flatnonzero(free & (iou[word] > MIN_IOU))
        free[partners[:1]] = False
        matches += len(partners[:1])
    return matches, matches


def overlaps(words, found):
    """(recall [G, D], precision [G, D]) of boxes [G, 4] and [D, 4]."""
    shared = common(words[:, None], found)
    areas = [np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(-1), 1e-9) for boxes in (words, found)]
    return shared / areas[0][:, None], shared / areas[1][None, :]
