"""What a data set looks like in numbers: images, objects, sizes, classes, overlaps, duplicates.

A spread is {"min", "p5", "median", "p95", "max"} of some values; empty where there are none.
"""

import collections

import numpy as np

from lhrcnn.data.overlaps import iou
from lhrcnn.data.tools.content import same_images

SMALL, LARGE = 32**2, 96**2  # px^2: COCO's areas, as `AP small` and `AP large` count
OVERLAPPING = (0.5, 0.7)  # IoU with another object of the image; NMS takes such for one
_EXAMPLES = 10


def statistics(datasets):
    """A dict, ready for JSON, of {split: Dataset}: {"splits": {split: numbers}, "duplicates"}.

    Ignored objects are counted, and left out of all else."""
    return {
        "splits": {split: _of_split(dataset) for split, dataset in datasets.items()},
        "duplicates": _duplicates(datasets),
    }


def columns(dataset):
    """The objects of a `Dataset` that are not ignored: {"counts" [images], "heights", "widths",
    "sides" [n] px (a side is the root of the area), "shares" [n] of the image's side, "ratios" [n]
    of height to width, "classes" [n]}."""
    kept = [~record.ignore for record in dataset.records]
    boxes = [record.boxes[keep] for record, keep in zip(dataset.records, kept)]
    counts = np.array([len(own) for own in boxes], np.int64)
    sizes = np.array([(record.height, record.width) for record in dataset.records], float)
    boxes = np.concatenate([np.zeros([0, 4], np.float32), *boxes]).astype(float)
    heights, widths = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    images = np.repeat(sizes.reshape(-1, 2).prod(1), counts)
    classes = [record.classes[keep] for record, keep in zip(dataset.records, kept)]
    return {
        "counts": counts,
        "heights": heights,
        "widths": widths,
        "sides": np.sqrt(heights * widths),
        "shares": np.sqrt(heights * widths / np.maximum(images, 1)),
        "ratios": heights / np.maximum(widths, 1e-9),
        "classes": np.concatenate([np.zeros(0, np.int32), *classes]),
    }


def _of_split(dataset):
    found, records = columns(dataset), dataset.records
    areas, best = found["heights"] * found["widths"], _best_overlaps(dataset)
    return {
        "images": len(records),
        "images_without_objects": int((found["counts"] == 0).sum()),
        "objects": len(areas),
        "ignored_objects": int(sum(record.ignore.sum() for record in records)),
        "objects_per_image": _spread(found["counts"]),
        "image_height_px": _spread([record.height for record in records]),
        "image_width_px": _spread([record.width for record in records]),
        "box_height_px": _spread(found["heights"]),
        "box_width_px": _spread(found["widths"]),
        "box_side_of_image": _spread(found["shares"]),
        "box_height_of_width": _spread(found["ratios"]),
        "objects_small": int((areas < SMALL).sum()),
        "objects_medium": int(((areas >= SMALL) & (areas < LARGE)).sum()),
        "objects_large": int((areas >= LARGE).sum()),
        **{f"objects_overlapping_{least}": int((best >= least).sum()) for least in OVERLAPPING},
        "classes": _classes(dataset, found),
    }


def _classes(dataset, found):
    """{name: {"objects", "images", "box_side_px"}}, the most frequent first."""
    images = np.repeat(np.arange(len(dataset.records)), found["counts"])
    numbers = {}
    for k, name in enumerate(dataset.class_names):
        own = found["classes"] == k
        numbers[name] = {
            "objects": int(own.sum()),
            "images": len(np.unique(images[own])),
            "box_side_px": _spread(found["sides"][own]),
        }
    return dict(sorted(numbers.items(), key=lambda item: -item[1]["objects"]))


def _best_overlaps(dataset):
    """The highest IoU [n] of each object that is not ignored with another of its image."""
    kept = (record.boxes[~record.ignore].astype(float) for record in dataset.records)
    return np.array(
        [
            iou(boxes[i], np.delete(boxes, i, axis=0)).max(initial=0)
            for boxes in kept
            for i in range(len(boxes))
        ]
    )


def _duplicates(datasets):
    """Images that stand more than once, in one split or over several."""
    groups = list(same_images(datasets))
    across = [group for group in groups if len({split for split, _ in group}) > 1]
    splits = collections.Counter(
        " and ".join(sorted({split for split, _ in group})) for group in groups
    )
    return {
        "images": len(groups),
        "images_across_splits": len(across),
        "by_splits": dict(splits),
        "examples": [[path for _, path in group] for group in (across or groups)[:_EXAMPLES]],
    }


def _spread(values):
    if not len(values):
        return {}
    names = ("min", "p5", "median", "p95", "max")
    return {
        name: round(float(value), 4)
        for name, value in zip(names, np.percentile(values, [0, 5, 50, 95, 100]))
    }


def lines(found):
    """Lines of text that show `statistics`: a table, a column for each split."""
    splits = found["splits"]
    yield _row("", splits)
    for key in next(iter(splits.values())):
        if key != "classes":
            yield _row(key.replace("_", " "), [_shown(split[key]) for split in splits.values()])
    for name in dict.fromkeys(name for split in splits.values() for name in split["classes"]):
        counts = [split["classes"].get(name, {}).get("objects", 0) for split in splits.values()]
        yield _row(f"  {name}", counts)
    duplicates = found["duplicates"]
    where = ", ".join(f"{count} in {names}" for names, count in duplicates["by_splits"].items())
    yield f"{duplicates['images']} images stand more than once" + (f": {where}" if where else "")
    for paths in duplicates["examples"][:3]:
        yield "    " + " = ".join(paths)


def _row(name, cells):
    return f"{name[:30]:30}" + "".join(f"{str(cell):>32}" for cell in cells)


def _shown(value):
    """A number, or a spread as "median (p5...p95)"."""
    if not isinstance(value, dict):
        return f"{value:,}"
    return f"{value['median']:.4g} ({value['p5']:.4g}...{value['p95']:.4g})" if value else "-"
