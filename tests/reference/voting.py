"""Rounds of localisation and box voting for one image, candidate by candidate."""

from reference.detection import iou, nms


def detect(first, localise, options):
    """[(score, class, box)], best first. `first` and localise(boxes) are lists of ({class: box},
    {class: score}) a box."""
    pairs = [
        (scores[k], k, boxes[k])
        for boxes, scores in first
        for k in scores
        if scores[k] >= options.score_threshold
    ]
    pool = sorted(pairs, key=lambda item: -item[0])[: options.pre_nms]
    if options.rounds > 1:
        current = within_classes(pool, options.prune_iou)[: options.candidates]
        pool = list(current)
        for _ in range(options.rounds - 1):
            again = localise([box for _, _, box in current])
            current = [
                (scores[k], k, boxes[k])
                for (_, k, _), (boxes, scores) in zip(current, again)
                if scores[k] >= options.score_threshold
            ]
            pool += current
    found = within_classes(pool, options.nms_iou)[: options.max_detections]
    return [(score, k, vote(k, box, pool, options)) for score, k, box in found]


def within_classes(pool, threshold):
    kept = []
    for k in {k for _, k, _ in pool}:
        own = [item for item in pool if item[1] == k]
        kept += [
            own[i]
            for i in nms(
                [box for _, _, box in own], [score for score, _, _ in own], threshold, len(own)
            )
        ]
    return sorted(kept, key=lambda item: -item[0])


def vote(k, box, pool, options):
    if not options.vote_iou:
        return box
    voters = [
        (max(0.0, score + options.vote_offset) + 1e-6, other)
        for score, j, other in pool
        if j == k and iou(box, other) >= options.vote_iou
    ]
    total = sum(weight for weight, _ in voters)
    return [sum(weight * other[i] for weight, other in voters) / total for i in range(4)]
