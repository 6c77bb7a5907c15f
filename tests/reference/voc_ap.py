"""VOC average precision as the development kit's evaluation describes it, one detection at a
time.
"""

import math

import numpy as np


def iou(first, second):
    height = min(first[2], second[2]) - max(first[0], second[0])
    width = min(first[3], second[3]) - max(first[1], second[1])
    if height <= 0 or width <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return height * width / (sum(areas) - height * width)


def class_ap(records, detections, k, eleven_point, min_iou=0.5):
    """AP of class k; `records` have image_id, boxes, classes and ignore; `detections` is a list of
    (image_id, box, score, class)."""
    objects = {
        record.image_id: [
            {"box": np.float64(box), "difficult": bool(ignore), "taken": False}
            for box, c, ignore in zip(record.boxes, record.classes, record.ignore)
            if c == k
        ]
        for record in records
    }
    num_objects = sum(not each["difficult"] for group in objects.values() for each in group)
    if num_objects == 0:
        return math.nan
    true_count, false_count, recalls, precisions = 0, 0, [], []
    for image_id, box, _, _ in sorted((d for d in detections if d[3] == k), key=lambda d: -d[2]):
        best, best_iou = None, 0.0
        for each in objects[image_id]:
            if iou(box, each["box"]) > best_iou:
                best, best_iou = each, iou(box, each["box"])
        if best_iou >= min_iou and best["difficult"]:
            continue
        if best_iou >= min_iou and not best["taken"]:
            best["taken"] = True
            true_count += 1
        else:
            false_count += 1
        recalls.append(true_count / num_objects)
        precisions.append(true_count / (true_count + false_count))
    return eleven_point_ap(recalls, precisions) if eleven_point else area_ap(recalls, precisions)


def eleven_point_ap(recalls, precisions):
    total = 0.0
    for threshold in [0, 0.1, 0.2, 3 * 0.1, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]:
        total += max([p for r, p in zip(recalls, precisions) if r >= threshold], default=0.0) / 11
    return total


def area_ap(recalls, precisions):
    recalls, precisions = [0.0, *recalls, 1.0], [0.0, *precisions, 0.0]
    for i in range(len(precisions) - 2, -1, -1):
        precisions[i] = max(precisions[i], precisions[i + 1])
    return sum(
        (recalls[i] - recalls[i - 1]) * precisions[i]
        for i in range(1, len(recalls))
        if recalls[i] != recalls[i - 1]
    )
