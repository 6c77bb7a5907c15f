"""Options of `model.rpn`."""

import dataclasses

from lhrcnn.config.schema.option import SOME, option, share


@dataclasses.dataclass(frozen=True)
class RPNConfig:
    """Region proposals: anchors, their targets, and the boxes handed on."""

    levels: list[str] = option(
        ["c4"], "maps it reads, of the backbone (c4) or the pyramid (p4)", lengths=SOME
    )
    channels: int = option(256, "channels of its 3x3 convolution", minimum=1)
    kernel_sizes: list[int] = option(
        [3],
        "sides of parallel convolutions with that many channels each, instead of the 3x3",
        minimum=1,
        lengths=SOME,
    )
    conv_depth: int = option(
        1, "3x3 convolutions one after the other; the first is that of kernel_sizes", minimum=1
    )
    anchor_scales: list[float] = option(
        [32, 64, 128, 256, 512],
        "square roots of anchor areas, in anchor_unit",
        above=0,
        lengths=SOME,
    )
    anchor_unit: str = option(
        "px",
        "px: the same anchors on every level; stride: scales are multiples of the level's stride",
        ["px", "stride"],
    )
    anchor_ratios: list[float] = option(
        [0.5, 1.0, 2.0], "anchor height / width", above=0, lengths=SOME
    )
    anchor_rounding: str = option(
        "none",
        "coordinates of a cell's anchors: exact, or rounded as the checkpoint's library does it",
        ["none", "torchvision", "py_faster_rcnn"],
    )
    center_offset: float = share(
        0.5, "anchor centre inside a cell, in strides: 0.5 the middle, 0 the corner"
    )
    border_px: float = option(
        0.0, "training uses anchors at most this far outside the image; negative: all"
    )
    positive_iou: float = option(
        0.7,
        "anchors this close to a box are foreground; at 0 all would be, in images without objects "
        "too",
        above=0,
        maximum=1,
    )
    best_iou: float = share(
        0.0, "the closest anchors of a box are foreground too, from this IoU on"
    )
    negative_iou: float = share(0.3, "anchors further than this from every box are background")
    batch_per_image: int = option(256, "anchors sampled per image", minimum=1)
    positive_fraction: float = share(0.5, "largest share of foreground among the sampled")
    box_loss: str = option("smooth_l1", "loss of foreground anchors", ["smooth_l1", "l1"])
    smooth_l1_beta: float = option(
        1 / 9, "where smooth L1 turns from quadratic to linear (1 / sigma^2)", minimum=1e-6
    )
    pre_nms_train: int = option(
        6000, "best-scored anchors of each level that enter its NMS, training", minimum=1
    )
    post_nms_train: int = option(1000, "proposals kept per image, training", minimum=1)
    pre_nms_test: int = option(
        6000, "best-scored anchors of each level that enter its NMS, testing", minimum=1
    )
    post_nms_test: int = option(1000, "proposals kept per image, testing", minimum=1)
    nms_iou: float = share(0.7, "NMS threshold of proposals")
    score_threshold: float = share(0.0, "proposals of a lower objectness are dropped")
    min_size_px: float = option(0.0, "proposals with a smaller side are dropped", minimum=0)
    init_std: float = option(0.01, "standard deviation of new weights", minimum=0)
