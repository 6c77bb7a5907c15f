"""Scene-text detection as the ICDAR robust reading competitions score it: recall, precision and
their harmonic mean.

DetEval (Wolf & Jolion, Object count/area graphs, IJDAR 2006; ICDAR 2011 and 2013) allows for
words that are split or merged; the IoU protocol of ICDAR 2015 matches one to one. Both judge a
set of boxes, so that detections need a threshold on their scores.
Shape letters: G words of ground truth in an image, D detections. Arrays [G, D] of shares: recall
is the overlap's part of the word's area, precision its part of the detection's.
"""

import numpy as np

AREA_RECALL, AREA_PRECISION, SPLIT_SCORE = 0.8, 0.4, 0.8
MIN_IOU, MAX_IGNORED = 0.5, 0.5


def deteval_metrics(dataset, detections, options):
    """DetEval's {"hmean", "recall", "precision"}, an entry of `METRICS`; see `_text_metrics`."""
    return _text_metrics(dataset, detections, options.text_score, deteval, AREA_PRECISION)


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
        mine = order[
            np.searchsorted(ids, record.image_id) : np.searchsorted(
                ids, record.image_id, side="right"
            )
        ]
        mine = mine[detections.scores[mine] >= score_threshold]
        found = np.asarray(detections.boxes, np.float64)[
            mine[np.argsort(-detections.scores[mine], kind="stable")]
        ]
        words, ignored = (
            np.asarray(record.boxes, np.float64)[rows] for rows in (~record.ignore, record.ignore)
        )
        found = found[~(overlaps(ignored, found)[1] > most_ignored).any(axis=0)]
        sums += (*match(*overlaps(words, found)), len(words), len(found))
    recall, precision = (total / max(count, 1) for total, count in zip(sums[:2], sums[2:]))
    return {
        "hmean": 2 * recall * precision / (recall + precision) if recall + precision else 0.0,
        "recall": recall,
        "precision": precision,
    }


def deteval(recall, precision):
    """(recall score, precision score), sums over the words and over the detections of an image, of
    overlaps [G, D].

    A pair is one to one where it alone, among its word's and its detection's pairs, has recall
    0.8 and precision 0.4: 1 each. A word split into detections that lie in it (precision 0.4
    each, recall 0.8 together), or words merged in one detection (recall 0.8 each, precision 0.4
    together) give 0.8 for every box involved; both ask for two overlaps, of which one may do
    alone, for 1. Boxes that are the same belong together before all others, so that words score
    1 against themselves even where words lie in words."""
    free_words, free_found = np.ones(recall.shape[0], bool), np.ones(recall.shape[1], bool)
    scores = np.zeros(2)

    def take(words, found):
        """Scores some words that match some detections, one of either; they are free no more."""
        free_words[words], free_found[found] = False, False
        scores[:] += np.array([len(words), len(found)]) * (
            1.0 if len(words) == len(found) else SPLIT_SCORE
        )

    for word, place in np.argwhere((recall == 1) & (precision == 1)):
        if free_words[word] and free_found[place]:
            take([word], [place])
    close = (
        (recall >= AREA_RECALL) & (precision >= AREA_PRECISION) & free_words[:, None] & free_found
    )
    for word, place in np.argwhere(
        close & (close.sum(1, keepdims=True) == 1) & (close.sum(0, keepdims=True) == 1)
    ):
        take([word], [place])
    for word in np.flatnonzero(free_words & ((recall > 0).sum(1) > 1)):
        parts = np.flatnonzero(free_found & (precision[word] >= AREA_PRECISION))
        if recall[word, parts].sum() >= AREA_RECALL:
            take([word], parts)
    for place in np.flatnonzero(free_found & ((recall > 0).sum(0) > 1)):
        parts = np.flatnonzero(free_words & (recall[:, place] >= AREA_RECALL))
        if precision[parts, place].sum() >= AREA_PRECISION:
            take(parts, [place])
    return scores


def one_to_one(recall, precision):
    """As `deteval`: the number of pairs, taken word by word, of an IoU above 0.5 between boxes that
    have no partner yet."""
    with np.errstate(divide="ignore"):
        iou = 1 / (1 / recall + 1 / precision - 1)
    free, matches = np.ones(recall.shape[1], bool), 0
    for word in range(recall.shape[0]):
        partners = np.flatnonzero(free & (iou[word] > MIN_IOU))
        free[partners[:1]] = False
        matches += len(partners[:1])
    return matches, matches


def overlaps(words, found):
    """(recall [G, D], precision [G, D]) of boxes [G, 4] and [D, 4]."""
    sides = np.minimum(words[:, None, 2:], found[None, :, 2:]) - np.maximum(
        words[:, None, :2], found[None, :, :2]
    )
    common = np.maximum(sides, 0).prod(-1)
    areas = [np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(-1), 1e-9) for boxes in (words, found)]
    return common / areas[0][:, None], common / areas[1][None, :]
