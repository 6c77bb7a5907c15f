"""A config for data that nobody has written one for: chosen from their boxes and their number.

It fine-tunes the model that comes with the package. Every choice is a function of what `measure`
found, and comes with its reason.
"""

import math
import pathlib
import typing

import numpy as np

BASE = "light_head_mobilenet_v2_voc07_144"  # its architecture; the shipped model starts it
SMALL_PX = 28  # a tenth of the boxes may be smaller than this in the network's input
SIDES = (256, 640)  # px, limits of the short side
LARGEST_ZOOM = 1.5
NUM_ANCHORS = 6  # as many as the shipped model has scales, whose RPN is taken over
MIN_ANCHOR_RATIO = 1.25
STEPS = (250, 6)  # at least so many steps, and at least so many epochs
MAX_EPOCHS = 60
EVALUATIONS = 3


class Measures(typing.NamedTuple):
    """What a choice depends on."""

    num_images: int
    num_boxes: int
    num_classes: int
    short_side: float  # median over the images, px
    aspect: float  # long over short side, 95th percentile
    sizes: np.ndarray  # [n] square roots of box areas over the short side of their image
    most_boxes: int  # of an image


class Choice(typing.NamedTuple):
    """An option, its value, and why."""

    option: str
    value: object
    reason: str


def measure(dataset):
    """The `Measures` of a Dataset."""
    sides = np.array([(record.height, record.width) for record in dataset.records], float)
    short, long = sides.min(1), sides.max(1)
    boxes = [record.boxes[~np.asarray(record.ignore, bool)] for record in dataset.records]
    areas = [np.prod(box[:, 2:] - box[:, :2], axis=1) for box in boxes]
    sizes = np.concatenate([*(np.sqrt(area) / side for area, side in zip(areas, short)), []])
    return Measures(
        len(dataset.records),
        len(sizes),
        dataset.num_classes,
        float(np.median(short)),
        float(np.quantile(long / short, 0.95)),
        sizes,
        max((len(record.boxes) for record in dataset.records), default=0),
    )


def derive(measures, bfloat16):
    """The `Choice`s for data of these `Measures`; bfloat16: whether the processor has it."""
    side, why_side = _side(measures)
    steps_per_epoch = max(1, measures.num_images // 8)
    epochs = _epochs(measures.num_images)
    steps = epochs * steps_per_epoch
    anchors = _anchors(measures.sizes * side)
    precision = "mixed_bfloat16" if bfloat16 else "float32"
    return [
        Choice("data.resize", "keep_ratio", "images keep their shape"),
        Choice("data.short_side", [side], why_side),
        Choice(
            "data.long_side",
            int(math.ceil(side * min(max(measures.aspect, 1.0), 2.5))),
            f"19 of 20 images are at most {measures.aspect:.2f} times as long as short",
        ),
        Choice("model.backbone.enlarge", 1, "short_side is what the network sees"),
        Choice(
            "model.rpn.anchor_scales",
            anchors,
            "k-means of the boxes' sizes in px of the network's input",
        ),
        Choice(
            "data.max_boxes",
            max(100, 2 * measures.most_boxes),
            f"the fullest image has {measures.most_boxes} boxes",
        ),
        Choice(
            "model.postprocess.max_detections",
            max(100, 2 * measures.most_boxes),
            "twice the fullest image",
        ),
        Choice("train.batch_size", min(8, measures.num_images), "what two CPU cores take"),
        Choice(
            "train.epochs", epochs, f"{steps} steps of 8 images, for {measures.num_images} images"
        ),
        Choice(
            "train.eval_every", max(1, math.ceil(epochs / EVALUATIONS)), "three looks at validation"
        ),
        Choice("train.warmup_steps", min(200, max(1, steps // 5)), "a fifth of the steps"),
        Choice("train.log_every", 10 if steps < 2000 else 50, "so that the ETA comes early"),
        Choice(
            "train.ema_decay",
            round(1 - max(0.001, min(0.02, 2.5 / steps)), 4),
            "the average spans a small part of the training",
        ),
        Choice("train.precision", precision, _why_precision(bfloat16)),
        Choice("eval.metrics", ["coco", "voc"], "AP, and AP at IoU .5 per class"),
    ]


def processor_has_bfloat16(path="/proc/cpuinfo"):
    """Whether this processor multiplies bfloat16 faster than float32 (AVX512_BF16 or AMX)."""
    try:
        text = pathlib.Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    flags = text.partition("flags")[2].partition("\n")[0].split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def describe(choices):
    """Lines `option: value  # why` of a list of `Choice`s."""
    width = max(len(f"{choice.option}: {choice.value}") for choice in choices)
    return [
        f"  {f'{choice.option}: {choice.value}':<{width}}  # {choice.reason}" for choice in choices
    ]


def _side(measures):
    """(short side in px, why): small boxes are large enough, images hardly enlarged."""
    small = float(np.quantile(measures.sizes, 0.1)) if len(measures.sizes) else 1.0
    wanted = SMALL_PX / max(small, 1e-3)
    most = min(SIDES[1], max(SIDES[0], LARGEST_ZOOM * measures.short_side))
    side = int(round(min(max(wanted, SIDES[0]), most) / 32) * 32)
    return side, (
        f"a tenth of the boxes is smaller than {small * side:.0f} px then; images are "
        f"{measures.short_side:.0f} px"
    )


def _epochs(num_images):
    steps, least = STEPS
    return min(MAX_EPOCHS, max(least, math.ceil(steps * 8 / max(1, num_images))))


def _anchors(sizes):
    """NUM_ANCHORS sizes in px, ascending: centres of a k-means of the logarithms of `sizes`."""
    if not len(sizes):
        return [16, 32, 64, 128, 192, 256]
    logs = np.log(np.maximum(sizes, 4.0))
    centres = np.quantile(logs, (np.arange(NUM_ANCHORS) + 0.5) / NUM_ANCHORS)
    for _ in range(50):
        nearest = np.abs(logs[:, None] - centres).argmin(1)
        centres = np.array(
            [
                logs[nearest == k].mean() if (nearest == k).any() else c
                for k, c in enumerate(centres)
            ]
        )
    centres, ratio = np.sort(centres), math.log(MIN_ANCHOR_RATIO)
    middle = centres.mean()
    for k in range(1, NUM_ANCHORS):  # boxes of one size would have equal anchors
        centres[k] = max(centres[k], centres[k - 1] + ratio)
    centres += middle - centres.mean()
    return [int(round(size)) for size in np.exp(centres)]


def _why_precision(bfloat16):
    if bfloat16:
        return "this processor has bfloat16 arithmetic, twice as fast"
    return "this processor has no bfloat16 arithmetic"
