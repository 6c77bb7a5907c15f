"""Average precision of ImageNet DET as the development kit's readme describes it, one detection at
a time.
"""

import math

from reference.voc_ap import area_ap, iou


def class_ap(records, detections, k):
    """AP of class k; `records` have image_id, boxes, classes, ignore and unlabelled; `detections`
    is [(image_id, box, score, class)]."""
    objects, num_objects = {}, 0
    for record in records:
        group = objects[record.image_id] = []
        if k in record.unlabelled:
            objects[record.image_id] = None
            continue
        for box, c, ignore in zip(record.boxes.astype(float), record.classes, record.ignore):
            if c == k:
                height, width = box[2] - box[0], box[3] - box[1]
                group.append(
                    {
                        "box": box,
                        "difficult": bool(ignore),
                        "taken": False,
                        "threshold": min(0.5, width * height / ((width + 10) * (height + 10))),
                    }
                )
                num_objects += not ignore
    if num_objects == 0:
        return math.nan
    true_count, false_count, recalls, precisions = 0, 0, [], []
    for image_id, box, _, _ in sorted((d for d in detections if d[3] == k), key=lambda d: -d[2]):
        if objects[image_id] is None:
            continue
        best, best_iou, meets_difficult = None, 0.0, False
        for each in objects[image_id]:
            overlap = iou(box, each["box"])
            if overlap <= 0 or overlap < each["threshold"]:
                continue
            if each["difficult"]:
                meets_difficult = True
            elif not each["taken"] and overlap > best_iou:
                best, best_iou = each, overlap
        if best is not None:
            best["taken"] = True
            true_count += 1
        elif meets_difficult:
            continue
        else:
            false_count += 1
        recalls.append(true_count / num_objects)
        precisions.append(true_count / (true_count + false_count))
    return area_ap(recalls, precisions)
