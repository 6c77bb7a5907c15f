"""Options of `model.head`, `model.locnet` and `model.postprocess`."""

import dataclasses
import typing

from lhrcnn.config.schema.option import SOME, option, share


@dataclasses.dataclass(frozen=True)
class HeadConfig:
    """The second stage: features of each proposal, scores and boxes."""

    kind: str = option(
        "light",
        "light: Light-Head R-CNN; fc: Faster R-CNN with FCs; stage5: with the ResNet's last stage; "
        "rfcn: R-FCN",
        "lhrcnn.models.heads:KINDS",
    )
    levels: list[str] = option(
        ["c5"],
        "maps it reads, as rpn.levels, finest first; with several, a box goes to the level of its "
        "size",
        lengths=SOME,
    )
    finest_scale: float = option(
        56.0,
        "several levels: boxes up to twice this side in px go to the first, up to four times to "
        "the next, ...",
        minimum=1,
    )
    skip_channels: int = option(
        0,
        "fc and stage5: pool each box from all levels, normalised, and reduce them to this many; "
        "0: do not",
        minimum=0,
    )
    pool_size: int = option(7, "bins a side of the RoI features", minimum=1)
    roi_op: str = option("align", "fc and stage5: RoIAlign or RoIPool", ["align", "pool"])
    sampling_ratio: int = option(
        2, "samples a side of each bin; 0: as many as its cells (fc and stage5)", minimum=0
    )
    aligned: bool = option(
        False, "shift boxes by half a cell, so that a cell's value lies at its centre"
    )
    roi_impl: str = option(
        "auto",
        "of the RoI ops; custom: compiled ops; tf: stock TensorFlow ops; auto: compiled where "
        "they build",
        ["auto", "custom", "tf"],
    )
    kernel_size: int = option(15, "light: long side of the large separable convolution", minimum=1)
    mid_channels: int = option(
        64, "light: channels between its two convolutions (S: 64, L: 256)", minimum=1
    )
    thin_channels: int = option(10, "light: channels per bin", minimum=1)
    pool: str = option("max", "light and rfcn: reduction of a bin's samples", ["max", "avg"])
    fc_channels: int = option(
        2048,
        "light and fc: units of a fully connected layer; rfcn: channels before the score maps",
        minimum=1,
    )
    fc_layers: int = option(1, "fc: fully connected layers", minimum=1)
    conv_layers: int = option(
        0,
        "fc: 3x3 convolutions before the fully connected layers, with batch norm as the backbone's",
        minimum=0,
    )
    conv_channels: int = option(256, "fc: channels of these", minimum=1)
    class_agnostic: bool = option(False, "one box for all classes instead of one per class")
    localisation: str = option(
        "box",
        "box regression, or LocNet's model of where the borders are (see locnet)",
        "lhrcnn.models.heads:LOCALISATIONS",
    )
    foreground_iou: float = option(
        0.5,
        "proposals this close to a box are foreground; at 0 all would be, in images without "
        "objects too",
        above=0,
        maximum=1,
    )
    background_iou_low: float = share(0.0, "proposals below this are left out of the background")
    sampler: str = option(
        "ohem",
        "ohem: the hardest proposals of each image; random: sampled by foreground share",
        ["ohem", "random"],
    )
    batch_per_image: int = option(256, "proposals that carry loss, an image", minimum=1)
    positive_fraction: float = share(0.25, "random sampler: largest share of foreground")
    target_std: list[float] = option(
        [0.1, 0.1, 0.2, 0.2],
        "box targets (dy, dx, dh, dw) are divided by these",
        above=0,
        lengths=[4],
    )
    target_statistics: str = option(
        "fixed",
        "what targets are normalised by; fixed: target_std; measured: mean and deviation of each "
        "class over the proposals of data.proposals, stored with the weights",
        ["fixed", "measured"],
    )
    box_loss: str = option(
        "smooth_l1",
        "loss of foreground boxes",
        ["smooth_l1", "l1", "iou", "bounded_iou", "giou", "ciou"],
    )
    smooth_l1_beta: float = option(
        1.0, "where smooth L1 turns from quadratic to linear", minimum=1e-6
    )
    box_loss_weight: float = option(2.0, "factor of the box loss", minimum=0)
    batch_norm: bool = option(
        False,
        "light and LocNet: batch norm in the thin map, after the FC and LocNet's convolutions, "
        "for training from random weights",
    )
    init_std: float = option(
        0.01,
        "standard deviation of new kernels; 0: He initialisation, for training from random weights",
        minimum=0,
    )
    global_context: bool = option(
        False, "light, fc and stage5: features of the whole image go beside those of each box"
    )
    label_smoothing: float = option(
        0.0, "share of the target spread over all classes", minimum=0, below=1
    )
    options: dict[str, typing.Any] = option(
        {}, "of an extractor or a head of your own, as it understands them"
    )


@dataclasses.dataclass(frozen=True)
class LocNetConfig:
    """Localisation by probabilities of rows and columns (arXiv 1511.07763), where
    head.localisation is not box."""

    search_scale: float = option(1.8, "side of the search region over the box's", minimum=1)
    clip_search: bool = option(False, "end search regions at the border of the image")
    levels: list[str] = option([], "maps it reads, as head.levels; empty: those")
    skip_channels: int = option(0, "as head.skip_channels", minimum=0)
    roi_op: str = option("pool", "RoIPool or RoIAlign of the search region", ["align", "pool"])
    pool_size: int = option(14, "bins a side of the pooled region", minimum=1)
    channels: int = option(512, "channels of its two 3x3 convolutions", minimum=1)
    cells: int = option(28, "rows and columns a region is cut into", minimum=2)
    foreground_iou: float = option(
        0.4, "proposals this close to a box are trained to find it", above=0, maximum=1
    )
    batch_per_image: int = option(64, "most proposals trained per image", minimum=1)
    loss_weight: float = option(1.0, "factor of its loss", minimum=0)
    decoding: str = option(
        "likelihood",
        "boxes of the highest likelihood, or from the first to the last cell above threshold "
        "(in_out)",
        ["likelihood", "threshold"],
    )
    threshold: float = share(0.5, "probability of a cell that is inside, for threshold decoding")
    regressed_share: float = share(
        0.0,
        "share of box regression, which is learnt beside it, in each border; 0: none, as published",
    )
    iou_power: float = option(
        0.0,
        "in_out and combined: class scores are multiplied by this power of the IoU that the "
        "probabilities promise; 0: class scores alone, as published",
        minimum=0,
    )


@dataclasses.dataclass(frozen=True)
class PostprocessConfig:
    """From scored boxes to detections."""

    score_threshold: float = share(0.001, "detections below are dropped")
    min_size_px: float = option(0.0, "detections with a smaller side are dropped", minimum=0)
    nms_iou: float = share(
        0.5, "NMS threshold within a class; unused with soft_nms_sigma, where every overlap counts"
    )
    soft_nms_sigma: float = option(
        0.0,
        "Gaussian soft-NMS: overlapping boxes lose score instead of being dropped; 0: hard NMS",
        minimum=0,
    )
    max_detections: int = option(100, "most detections per image", minimum=1)
    pre_nms: int = option(1000, "best-scored (box, class) pairs that enter NMS", minimum=1)
    rounds: int = option(
        1,
        "times that boxes are pooled, scored and localised; the candidates of all rounds count",
        minimum=1,
    )
    candidates: int = option(
        300, "several rounds: most (box, class) pairs that go into the second", minimum=1
    )
    prune_iou: float = share(0.95, "several rounds: NMS threshold of those pairs, within a class")
    vote_iou: float = share(
        0.0,
        "box voting: a detection becomes the mean of its class's candidates this close; 0: none",
    )
    vote_offset: float = option(0.0, "box voting: candidates weigh max(0, score + this)")
