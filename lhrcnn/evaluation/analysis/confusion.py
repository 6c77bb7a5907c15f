"""Which class is taken for which."""

import numpy as np

from lhrcnn.evaluation.analysis.matches import Pairs, chosen
from lhrcnn.evaluation.columns import IOUS


def confusion_matrix(matches, least_score):
    """int64 [K + 1, K + 1]: objects of class i found as class j; the last row and column are
    background.

    least_score [K]: what a detection of each class needs. Detections take objects of any class, by
    falling score, the one they overlap most, by half at least. What is left over and lies in a
    crowd of any class, by half its area, is left out."""
    found, objects = matches.found, matches.objects
    pairs = Pairs.between(found, objects)
    confident = found.scores >= np.asarray(least_score)[found.classes]
    pairs = pairs.of((pairs.overlap >= IOUS[0]) & confident[pairs.detection])
    in_crowd = np.zeros(len(found.scores), bool)
    in_crowd[pairs.detection[objects.crowd[pairs.object]]] = True
    pairs = pairs.of(~objects.crowd[pairs.object])

    taken = np.full(len(objects.classes), -1)
    busy = set()
    order = np.lexsort((pairs.object, -pairs.overlap, pairs.detection))
    for detection, place in zip(pairs.detection[order].tolist(), pairs.object[order].tolist()):
        if detection not in busy and taken[place] < 0:
            taken[place] = detection
            busy.add(detection)

    background = len(matches.names)
    matrix = np.zeros([background + 1] * 2, np.int64)
    real = ~objects.crowd
    columns = chosen(found.classes, taken, background)
    np.add.at(matrix, (objects.classes[real], columns[real]), 1)
    left = confident & ~in_crowd
    left[list(busy)] = False
    np.add.at(matrix, (background, found.classes[left]), 1)
    return matrix
