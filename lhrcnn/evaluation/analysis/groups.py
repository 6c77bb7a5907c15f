"""AP of objects by what makes them hard: size, shape, neighbours, the border of the image."""

import numpy as np

from lhrcnn.evaluation.analysis.curves import columns_of
from lhrcnn.evaluation.analysis.matches import Pairs, chosen

SMALL, LARGE = 32**2, 96**2  # COCO's areas, px^2
ELONGATED = 2.0  # one side over the other
CROWDED = 0.2  # IoU with another object
BORDER = 0.01  # of the image's side


def groups_of(matches):
    """{name: {group: bool [G]}} of the objects of `Matches`."""
    objects = matches.objects
    x, y, width, height = objects.boxes.T
    sizes = np.array([(record.height, record.width) for record in matches.records], float)
    image_height, image_width = sizes[objects.images].T
    cut = (x <= BORDER * image_width) | (y <= BORDER * image_height)
    cut |= (x + width >= (1 - BORDER) * image_width) | (y + height >= (1 - BORDER) * image_height)
    close = _overlap_with_others(objects)
    tall, wide = height > ELONGATED * width, width > ELONGATED * height
    return {
        "size": {
            "small, below 32² px": objects.areas < SMALL,
            "medium": (objects.areas >= SMALL) & (objects.areas < LARGE),
            "large, from 96² px": objects.areas >= LARGE,
        },
        "shape": {"tall, over 2 : 1": tall, "in between": ~tall & ~wide, "wide, over 2 : 1": wide},
        "neighbours": {
            "none that overlap": close == 0,
            "one overlaps, IoU below 0.2": (close > 0) & (close < CROWDED),
            "crowded, IoU 0.2 and more": close >= CROWDED,
        },
        "border": {"inside the image": ~cut, "touches the border": cut},
    }


def _overlap_with_others(objects):
    """float64 [G], the largest IoU of each object with another of its image."""
    pairs = Pairs.between(objects, objects._replace(crowd=np.zeros_like(objects.crowd)))
    pairs = pairs.of(pairs.detection != pairs.object)
    largest = np.zeros(len(objects.images))
    np.maximum.at(largest, pairs.detection, pairs.overlap)
    return largest


def ap_of_groups(matches, groups):
    """{name: {group: {"objects", "AP50", "AP"}}}, means over classes with an object in the group.

    Objects of other groups, and what finds them, count neither way. Precision is normalised (Hoiem
    et al., ECCV 2012, section 2.2): as if the group had as many objects as its class has, so that
    groups of different numbers can be compared."""
    return {
        name: {group: _ap_of(matches, members) for group, members in parts.items()}
        for name, parts in groups.items()
    }


def _ap_of(matches, members):
    objects = matches.objects
    outside = chosen(~members, matches.taken, False)
    part = matches._replace(
        objects=objects._replace(crowd=objects.crowd | ~members), ignored=matches.ignored | outside
    )
    number, whole = part.counts(), matches.counts()
    aps = [
        columns.ap(true_weight=whole[k] / number[k])
        for k, columns in enumerate(columns_of(part))
        if number[k]
    ]
    mean = np.mean(aps, axis=0) if aps else np.full(2, np.nan)
    return {"objects": int(number.sum()), "AP50": float(mean[0]), "AP": float(mean.mean())}
