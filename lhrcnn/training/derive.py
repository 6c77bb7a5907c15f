"""A config for data that nobody has written one for: that of a trained model, whose weights it
starts from, changed to suit their boxes and their number.

Every choice is a function of what `measure` found, and comes with its reason.
"""

import math
import pathlib
import typing

import numpy as np

from lhrcnn.data.batches.cache import SHRUNK_FROM

SIDES = (288, 640)  # px, limits of the short side
LARGEST_ZOOM = 1.5
LONGEST = 2.5  # sides of longer images are shrunk to this ratio
SMALLER = 1.2  # times that a tenth of the boxes may be smaller than the smallest anchor
REACH = 1.4  # times that boxes may be smaller or larger than the anchors
MIN_ANCHOR_RATIO = 1.25
TRAIN_PX = 5e8  # of all images seen: three to five minutes of two CPU cores with bfloat16
KNOWN = 0.5  # share of the objects that a model finds, from which on it is said to know them
KNOWN_SHARE = 0.56  # of the images, and half of the rate, are enough then
EPOCHS = (4, 60)
MOST_CACHED = 4e9  # bytes
EVALUATIONS = 3
BATCH_SIZE = 8  # half of it where that gives less than so many steps
LEAST_STEPS = 300
LEARNING_RATE = 0.03  # of SGD, for train.base_batch_size images
# What the trained model has for its own data, as it is for these.
OTHER_DATA = {
    "data.format": "auto",
    **{f"data.{split}_split": split for split in ("train", "val", "test")},
    "data.image_dir": "",
    "data.classes": [],
    "data.max_boxes": 0,
    "data.proposals": "",
    "data.cache_dir": "",
    "model.backbone.weights": "",
    "train.stages": [],
    "train.part": "all",
    "train.max_steps": 0,
    "train.final_learning_rate": 0.0,
    "train.best_metric": "",
    "eval.metrics": ["coco", "voc"],
    "eval.backend": "hotcoco",
}


class Measures(typing.NamedTuple):
    """What a choice depends on."""

    num_images: int
    num_classes: int
    short_side: float  # median over the images, px
    aspects: np.ndarray  # [num_images] long over short side
    sizes: np.ndarray  # [n] square roots of box areas over the short side of their image
    most_boxes: int  # of an image
    found: float = 0.0  # share of the objects that a trained model finds, whatever it calls them


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
        dataset.num_classes,
        float(np.median(short)),
        long / short,
        sizes,
        max((len(record.boxes) for record in dataset.records), default=0),
    )


def is_known(measures):
    """Whether the objects are of a kind that a trained model has learnt to find."""
    return measures.found >= KNOWN


def derive(measures, start, bfloat16, run_dir):
    """The `Choice`s for data of these `Measures`, learnt by the model of the Config `start` in a
    run directory; bfloat16: whether the processor has it. How long to train is `length`'s."""
    own = _own_anchors(start)
    side, why_side = _side(measures, own)
    long = math.ceil(side * min(float(np.quantile(measures.aspects, 0.95)), LONGEST))
    epochs = _epochs(measures, image_px(measures, side, long))
    anchors = (
        [Choice("model.rpn.anchor_scales", *_anchors(measures.sizes * side, own))] if own else []
    )
    about = "" if is_known(measures) else "only "
    return [
        Choice(
            "train.init_from",
            start.train.init_from,
            f"{about}{measures.found:.0%} of the objects are found before training",
        ),
        Choice("data.resize", "keep_ratio", "images keep their shape"),
        Choice("data.short_side", [side], why_side),
        Choice("data.long_side", long, "19 of 20 images are not longer"),
        Choice("model.backbone.enlarge", 1, "short_side is what the network sees"),
        *_cache(measures, side / min(start.data.min_crop, 1), run_dir),
        *anchors,
        Choice(
            "model.postprocess.max_detections",
            max(100, 2 * measures.most_boxes),
            f"the fullest image has {measures.most_boxes} boxes",
        ),
        Choice("train.batch_size", *_batch_size(measures, epochs)),
        *_rate(measures, start),
        Choice(
            "train.precision",
            "mixed_bfloat16" if bfloat16 else "float32",
            f"this processor has {'' if bfloat16 else 'no '}bfloat16 arithmetic",
        ),
    ]


def length(measures, config, steps=0):
    """The `Choice`s of how long a Config trains: so many steps, or what suits the data."""
    per_epoch = -(-measures.num_images // config.train.batch_size)
    why = "what fits into the time given"
    if not steps:
        data = config.data
        px = image_px(measures, data.short_side[-1], data.long_side)
        steps = _epochs(measures, px) * per_epoch
        why = f"{steps} steps of {config.train.batch_size} images"
    epochs = -(-steps // per_epoch)
    every = max(1, math.ceil(epochs / EVALUATIONS))
    decay = round(1 - max(0.001, min(0.02, 4.5 / steps)), 4)
    choices = [
        Choice("train.epochs", epochs, why),
        Choice("train.eval_every", every, f"{-(-epochs // every)} looks at the validation images"),
        Choice("train.schedule", "cosine", "the learning rate falls to 0 within these steps"),
        Choice("train.warmup_steps", min(200, max(1, steps // 10)), "a tenth of the steps, or 200"),
        Choice("train.ema_decay", decay, "the average spans a small part of the training"),
        Choice("train.log_every", 10 if steps < 2000 else 50, "a line in seconds"),
    ]
    if steps % per_epoch:
        choices.insert(1, Choice("train.max_steps", steps, "the last epoch is cut short"))
    return choices


def num_steps(measures, train):
    """Steps of a training with the TrainConfig `train`."""
    steps = train.epochs * -(-measures.num_images // train.batch_size)
    return min(steps, train.max_steps or steps)


def image_px(measures, side, long):
    """Mean px of the images, resized to a short side of `side` px and at most `long` px."""
    return side * side * float(np.minimum(measures.aspects, long / side).mean())


def kmeans(sizes, number):
    """`number` sizes in px, ascending: centres of a k-means of the logarithms of `sizes`."""
    logs = np.log(np.maximum(sizes, 4.0))
    centres = np.quantile(logs, (np.arange(number) + 0.5) / number)
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
    for k in range(1, number):  # boxes of one size would have equal anchors
        centres[k] = max(centres[k], centres[k - 1] + ratio)
    centres += middle - centres.mean()
    return [int(round(size)) for size in np.exp(centres)]


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


def _epochs(measures, px):
    """Epochs of images of so many px each."""
    budget = TRAIN_PX * (KNOWN_SHARE if is_known(measures) else 1)
    return min(EPOCHS[1], max(EPOCHS[0], math.ceil(budget / (px * measures.num_images))))


def _batch_size(measures, epochs):
    """(images in a batch, why)."""
    number = measures.num_images
    if epochs * -(-number // BATCH_SIZE) >= LEAST_STEPS:
        return min(BATCH_SIZE, number), "what two CPU cores take"
    return min(BATCH_SIZE // 2, number), f"{BATCH_SIZE} would take less than {LEAST_STEPS} steps"


def _own_anchors(start):
    """The anchors of a Config in px of its network's input, [] where they are in strides."""
    rpn = start.model.rpn
    if rpn.anchor_unit != "px":
        return []
    return [round(scale * start.model.backbone.enlarge) for scale in sorted(rpn.anchor_scales)]


def _side(measures, own):
    """(short side in px, why): small boxes are as large as the smallest anchor, about."""
    small = float(np.quantile(measures.sizes, 0.1)) if len(measures.sizes) else 1.0
    wanted = (own[0] if own else 32) / SMALLER / max(small, 1e-3)
    most = min(SIDES[1], max(SIDES[0], LARGEST_ZOOM * measures.short_side))
    side = int(round(min(max(wanted, SIDES[0]), most) / 32) * 32)
    limit = "the least: " if wanted <= SIDES[0] else "the most here: " if wanted >= most else ""
    return side, f"{limit}9 of 10 boxes are larger than {small * side:.0f} px then"


def _rate(measures, start):
    """[Choice] of the learning rate: a trained model may have ended with a lower one."""
    if start.train.optimizer != "sgd":
        return []
    if is_known(measures):
        return [Choice("train.learning_rate", LEARNING_RATE / 2, "the objects are found already")]
    return [Choice("train.learning_rate", LEARNING_RATE, "what objects of a new kind need")]


def _cache(measures, needed, run_dir):
    """[Choice] of a folder for large images as small as a short side of `needed` px has them."""
    size = 3 * needed**2 * float(measures.aspects.mean()) * measures.num_images
    if measures.short_side < SHRUNK_FROM * needed or size > MOST_CACHED:
        return []
    return [
        Choice(
            "data.cache_dir",
            str(pathlib.Path(run_dir, "images")),
            f"images are large: kept small, {size / 1e6:.0f} MB, instead of decoded in every epoch",
        )
    ]


def _anchors(sizes, own):
    """(anchor sizes, why): the trained model's `own` where they reach the boxes of these `sizes`
    in px, else as many of a k-means."""
    small, large = np.quantile(sizes, [0.05, 0.95]) if len(sizes) else (own[0], own[-1])
    found = f"9 of 10 boxes are of {small:.0f} to {large:.0f} px"
    if own[0] <= REACH * small and large <= REACH * own[-1]:
        return own, f"those of the trained model: {found}"
    return kmeans(sizes, len(own)), f"k-means of the boxes' sizes: {found}"
