"""Box arithmetic, anchors, targets, sampling, losses and NMS, one box at a time."""

import math

import numpy as np


def random_boxes(rng, *shape, size=100.0):
    """float32 boxes [*shape, 4] with sides from 1 to size / 2."""
    corner = rng.uniform(0, size, (*shape, 2))
    return np.concatenate([corner, corner + rng.uniform(1, size / 2, (*shape, 2))], -1).astype(
        np.float32
    )


def area(box):
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def intersection(a, b):
    return area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])


def iou(a, b):
    common = intersection(a, b)
    union = area(a) + area(b) - common
    return common / union if union > 0 else 0.0


def iou_loss(a, b):
    return -math.log(max(iou(a, b), 1e-6))


def giou_loss(a, b):
    hull = area([min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])])
    union = area(a) + area(b) - intersection(a, b)
    return 1 - iou(a, b) + ((hull - union) / hull if hull > 0 else 0.0)


def ciou_loss(a, b):
    """Distance of centres over the hull's diagonal, and difference of the aspect angles."""
    hull_height, hull_width = max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])
    distance = ((a[0] + a[2] - b[0] - b[2]) ** 2 + (a[1] + a[3] - b[1] - b[3]) ** 2) / 4
    angle = math.atan2(b[3] - b[1], b[2] - b[0]) - math.atan2(a[3] - a[1], a[2] - a[0])
    shape, overlap = 4 / math.pi**2 * angle**2, iou(a, b)
    share = shape / (1 - overlap + shape) if overlap > 0.5 else 0.0
    return 1 - overlap + distance / (hull_height**2 + hull_width**2) + share * shape


def bounded_iou_loss(a, b):
    """For each axis: the IoU of two intervals if only their centres differed, and if only their
    lengths did."""
    total = 0.0
    for start, end in ((0, 2), (1, 3)):
        length, target = a[end] - a[start], b[end] - b[start]
        shift = abs(a[start] + a[end] - b[start] - b[end]) / 2
        for bound in (
            max(0.0, (target - 2 * shift) / (target + 2 * shift)),
            min(length / target, target / length),
        ):
            total += smooth_l1([1 - bound], [0.0], 0.2)
    return total


def encode(box, reference):
    height, width = reference[2] - reference[0], reference[3] - reference[1]
    return [
        ((box[0] + box[2]) - (reference[0] + reference[2])) / 2 / height,
        ((box[1] + box[3]) - (reference[1] + reference[3])) / 2 / width,
        math.log((box[2] - box[0]) / height),
        math.log((box[3] - box[1]) / width),
    ]


def anchors(map_height, map_width, stride, scales, ratios, center_offset):
    """All anchors in the order rows, columns, ratios, scales."""
    boxes = []
    for row in range(map_height):
        for column in range(map_width):
            for ratio in ratios:
                for scale in scales:
                    y, x = (row + center_offset) * stride, (column + center_offset) * stride
                    height, width = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
                    boxes.append([y - height / 2, x - width / 2, y + height / 2, x + width / 2])
    return np.array(boxes)


def match(
    candidates,
    boxes,
    classes,
    ignore,
    foreground_iou,
    background_iou,
    background_iou_low=0.0,
    best_iou=None,
):
    """Labels (1, 0, -1) and matched truth of each candidate of one image."""
    real = [
        m for m in range(len(boxes)) if classes[m] >= 0 and not ignore[m] and area(boxes[m]) > 0
    ]
    labels, matched = [], []
    for candidate in candidates:
        overlaps = {m: iou(candidate, boxes[m]) for m in real}
        closest = max(overlaps, key=overlaps.get) if overlaps else 0
        best = overlaps.get(closest, 0.0)
        if not math.isfinite(area(candidate)) or area(candidate) <= 0:
            label = -1
        elif best >= foreground_iou:
            label = 1
        else:
            label = 0 if background_iou_low <= best < background_iou else -1
            if best_iou is not None:
                for m in real:
                    highest = max(iou(c, boxes[m]) for c in candidates)
                    if (
                        highest > 0
                        and highest >= best_iou
                        and overlaps[m] == highest
                        and (label != 1 or overlaps[m] > overlaps[closest])
                    ):
                        label, closest = 1, m
            if label == 0 and any(
                ignore[m]
                and classes[m] >= 0
                and intersection(candidate, boxes[m]) >= 0.5 * area(candidate)
                for m in range(len(boxes))
            ):
                label = -1
        labels.append(label)
        matched.append(closest)
    return np.array(labels), np.array(matched)


def smooth_l1(predictions, targets, beta):
    total = 0.0
    for p, t in zip(predictions, targets):
        error = abs(p - t)
        total += 0.5 * error * error / beta if error < beta else error - 0.5 * beta
    return total


def nms(boxes, scores, threshold, max_outputs):
    """Places of the boxes kept, best first."""
    kept = []
    for index in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if scores[index] > 0 and all(
            iou(boxes[index], boxes[other]) <= threshold for other in kept
        ):
            kept.append(index)
    return kept[:max_outputs]
