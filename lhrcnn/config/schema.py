"""Every option of lhrcnn: typed dataclasses that are their own documentation."""

import dataclasses
import typing

from lhrcnn.choices import resolve

PRECISIONS = ["float32", "mixed_float16", "mixed_bfloat16"]


def option(default, meaning, choices=None, minimum=None, maximum=None):
    """A dataclass field with its one-line meaning, and what values are allowed.

    choices: a list, or "module:DICT" for the names in a dict that stands beside what it names."""
    metadata = {"meaning": meaning, "choices": choices, "minimum": minimum, "maximum": maximum}
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def allowed(field):
    """The values that a field allows by name; None where it is not a choice.

    An empty text is allowed beside them where it is the default."""
    choices = field.metadata["choices"]
    return None if choices is None else [str(choice) for choice in resolve(choices)]


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where the images are and what happens to them before the network."""

    format: str = option(
        "shapes",
        "layout of the data set; shapes is generated when missing; folders: SPLIT/CLASS/images, to pretrain",
        "lhrcnn.data.readers:READERS",
    )
    dir: str = option("datasets/shapes", "folder of the data set; --data_dir overrides it")
    train_split: str = option(
        "train",
        "training images: VOC or DET lists (VOC2007/trainval, + joins), COCO split or .json file, folder",
    )
    val_split: str = option(
        "val", "images evaluated during training, named the same way; empty: none"
    )
    test_split: str = option("val", "images eval_main.py scores by default")
    image_dir: str = option(
        "", "COCO only: folder of the images, relative to dir; empty: found by the split's name"
    )
    csv_columns: list[str] = option(
        [],
        "CSV only: columns that are not called as usual, such as image=file, class=kind, xmin=left",
    )
    classes: list[str] = option([], "class names to learn, in order; empty: all of the data set's")
    resize: str = option(
        "keep_ratio",
        "keep_ratio: short/long side below; stretch: to stretch_size",
        ["keep_ratio", "stretch"],
    )
    short_side: list[int] = option(
        [800],
        "short side in px; training draws one of the list per batch, testing uses test_short_side",
        minimum=1,
    )
    test_short_side: int = option(
        0, "short side in px for evaluation and prediction; 0: the last of short_side", minimum=0
    )
    long_side: int = option(1333, "longest side in px after a keep_ratio resize", minimum=1)
    stretch_size: list[int] = option(
        [144, 144], "height and width in px of a stretch resize", minimum=1
    )
    antialias: bool = option(
        False, "low-pass filter when a resize shrinks images; takes longer than decoding them"
    )
    pad_multiple: int = option(
        32, "padded height and width are multiples of this many px", minimum=1
    )
    aspect_groups: list[float] = option(
        [1.0, 1.34, 1.67],
        "long/short ratios of the padded canvases; images share a batch within one canvas",
    )
    flip: bool = option(True, "mirror half of the training images left-right")
    photometric: float = option(
        0.0,
        "strength of random brightness, contrast, saturation and hue, 0 to 1",
        minimum=0,
        maximum=1,
    )
    min_crop: float = option(
        1.0, "random crop: smallest kept share of each side, 1: no crop", minimum=0, maximum=1
    )
    max_expand: float = option(
        1.0, "random expansion: largest canvas over the image's side, 1: none", minimum=1
    )
    transforms: list[str] = option(
        [],
        "what else is done to training batches, in order; these of keras-cv draw their own numbers",
        "lhrcnn.data.transforms:TRANSFORMS",
    )
    max_boxes: int = option(
        0, "most objects learnt of an image, its largest; others are ignored; 0: all", minimum=0
    )
    keep_empty: bool = option(False, "train on images without boxes too")
    use_difficult: bool = option(
        True, "train on VOC boxes marked difficult (they never count in evaluation)"
    )
    voc_corners: str = option(
        "auto",
        "corners in VOC's XML files: 1-based inclusive, 0-based half-open; auto: a corner 0 decides",
        ["auto", "one_based", "zero_based"],
    )
    max_aspect: float = option(
        0.0, "train on images with a long/short ratio up to this; 0: all", minimum=0
    )
    on_error: str = option(
        "fail",
        "unreadable or wrong images and boxes: fail, or skip and count them",
        ["fail", "skip"],
    )
    proposals: str = option(
        "",
        "folder of `lhrcnn proposals`: second stages take the boxes of its files, not their own RPN's; empty: they do not",
    )
    cache_dir: str = option(
        "", "folder for decoded images, resized where no zoom is drawn; empty: decode every time"
    )
    workers: int = option(
        0, "parallel reads and decodes; 0: as many as processors, at most 16", minimum=0
    )


@dataclasses.dataclass(frozen=True)
class BackboneConfig:
    """The convolutional network under both stages."""

    name: str = option("xception", "architecture", "lhrcnn.models.backbones:BACKBONES")
    weights: str = option(
        "",
        "pretrained weights: imagenet, a file (.npz, torchvision .pth) or a run directory; empty: random",
    )
    frozen_stages: int = option(
        0,
        "leading stages that are not trained (1: the stem); a pyramid is the last stage, 99 freezes all",
        minimum=0,
    )
    batch_norm: str = option(
        "train",
        "train: all of it; affine: fixed statistics, as mmdetection; frozen: fixed",
        ["train", "affine", "frozen"],
    )
    batch_norm_momentum: float = option(
        0.97, "share of the old running statistics kept per step", minimum=0, maximum=1
    )
    width: float = option(1.0, "multiplier of the channels", minimum=0)
    out_stride: int = option(
        16, "stride of the last map: 16 (its stage keeps the resolution) or 32", [16, 32]
    )
    enlarge: int = option(
        1,
        "times small images are enlarged for it; 2: features finer, strides half and about four times the work",
        [1, 2],
    )
    last_level: str = option(
        "c5", "deepest map; c4 leaves a ResNet's last stage to the stage5 head", ["c5", "c4"]
    )
    style: str = option(
        "pytorch",
        "ResNets: units halve the resolution in their 3x3 (pytorch) or first 1x1 (caffe)",
        ["pytorch", "caffe"],
    )
    dilation: int = option(
        1,
        "ResNets and MobileNetV2: dilation of a last stage of stride 16 (2: DC5, Light-Head L, and what pretrained "
        "weights of stride 32 expect)",
        minimum=1,
    )
    top_conv: bool = option(
        False,
        "MobileNetV2: c5 is what its classifier sees, the 1280 channels of a last 1x1 convolution",
    )
    stem_pool: str = option(
        "symmetric",
        "ResNets: padding of the max pool; same: TensorFlow's, of TF-slim's checkpoints",
        ["symmetric", "same"],
    )
    pixel_mean: list[float] = option(
        [], "RGB means subtracted from 0-255 pixels; empty: those of the backbone's usual weights"
    )
    pixel_std: list[float] = option(
        [], "RGB deviations pixels are divided by; empty: those of the backbone's usual weights"
    )
    options: dict[str, typing.Any] = option({}, "of a backbone of your own, as it understands them")


@dataclasses.dataclass(frozen=True)
class FPNConfig:
    """The feature pyramid between backbone and both stages (arXiv 1612.03144)."""

    channels: int = option(0, "channels of every level; 0: no pyramid", minimum=0)
    levels: list[str] = option(
        ["c2", "c3", "c4", "c5"], "backbone maps it reads; c3 becomes p3, beside it"
    )
    batch_norm: bool = option(
        False,
        "batch norm behind its convolutions; VGG16 needs it, whose c4 is ten times as large as its c5",
    )
    extra_level: bool = option(
        True, "one more level, every second cell of the last, for the RPN's largest anchors"
    )


@dataclasses.dataclass(frozen=True)
class RPNConfig:
    """Region proposals: anchors, their targets, and the boxes handed on."""

    levels: list[str] = option(["c4"], "maps it reads, of the backbone (c4) or the pyramid (p4)")
    channels: int = option(256, "channels of its 3x3 convolution", minimum=1)
    kernel_sizes: list[int] = option(
        [3],
        "sides of parallel convolutions with that many channels each, instead of the 3x3",
        minimum=1,
    )
    anchor_scales: list[float] = option(
        [32, 64, 128, 256, 512], "square roots of anchor areas, in anchor_unit"
    )
    anchor_unit: str = option(
        "px",
        "px: the same anchors on every level; stride: scales are multiples of the level's stride",
        ["px", "stride"],
    )
    anchor_ratios: list[float] = option([0.5, 1.0, 2.0], "anchor height / width")
    anchor_rounding: str = option(
        "none",
        "coordinates of a cell's anchors: exact, or rounded as the checkpoint's library does it",
        ["none", "torchvision", "py_faster_rcnn"],
    )
    center_offset: float = option(
        0.5,
        "anchor centre inside a cell, in strides: 0.5 the middle, 0 the corner",
        minimum=0,
        maximum=1,
    )
    border_px: float = option(
        0.0, "training uses anchors at most this far outside the image; negative: all"
    )
    positive_iou: float = option(
        0.7, "anchors this close to a box are foreground", minimum=0, maximum=1
    )
    best_iou: float = option(
        0.0,
        "the closest anchors of a box are foreground too, from this IoU on",
        minimum=0,
        maximum=1,
    )
    negative_iou: float = option(
        0.3, "anchors further than this from every box are background", minimum=0, maximum=1
    )
    batch_per_image: int = option(256, "anchors sampled per image", minimum=1)
    positive_fraction: float = option(
        0.5, "largest share of foreground among the sampled", minimum=0, maximum=1
    )
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
    nms_iou: float = option(0.7, "NMS threshold of proposals", minimum=0, maximum=1)
    min_size_px: float = option(0.0, "proposals with a smaller side are dropped", minimum=0)
    init_std: float = option(0.01, "standard deviation of new weights", minimum=0)


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
        "maps it reads, as rpn.levels, finest first; with several, a box goes to the level of its size",
    )
    finest_scale: float = option(
        56.0,
        "several levels: boxes up to twice this side in px go to the first, up to four times to the next, ...",
        minimum=1,
    )
    skip_channels: int = option(
        0,
        "fc and stage5: pool each box from all levels, normalised, and reduce them to this many; 0: do not",
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
        "of the RoI ops; custom: compiled ops; tf: stock TensorFlow ops; auto: compiled where they build",
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
    class_agnostic: bool = option(False, "one box for all classes instead of one per class")
    localisation: str = option(
        "box",
        "box regression, or LocNet's model of where the borders are (see locnet)",
        "lhrcnn.models.heads:LOCALISATIONS",
    )
    foreground_iou: float = option(
        0.5, "proposals this close to a box are foreground", minimum=0, maximum=1
    )
    background_iou_low: float = option(
        0.0, "proposals below this are left out of the background", minimum=0, maximum=1
    )
    sampler: str = option(
        "ohem",
        "ohem: the hardest proposals of each image; random: sampled by foreground share",
        ["ohem", "random"],
    )
    batch_per_image: int = option(256, "proposals that carry loss, an image", minimum=1)
    positive_fraction: float = option(
        0.25, "random sampler: largest share of foreground", minimum=0, maximum=1
    )
    target_std: list[float] = option(
        [0.1, 0.1, 0.2, 0.2], "box targets (dy, dx, dh, dw) are divided by these"
    )
    target_statistics: str = option(
        "fixed",
        "what targets are normalised by; fixed: target_std; measured: mean and deviation of each class over "
        "the proposals of data.proposals, stored with the weights",
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
        "light and LocNet: batch norm in the thin map, after the FC and LocNet's convolutions, for training from random weights",
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
        0.0, "share of the target spread over all classes", minimum=0, maximum=1
    )
    options: dict[str, typing.Any] = option(
        {}, "of an extractor or a head of your own, as it understands them"
    )


@dataclasses.dataclass(frozen=True)
class LocNetConfig:
    """Localisation by probabilities of rows and columns (arXiv 1511.07763), where head.localisation is not box."""

    search_scale: float = option(1.8, "side of the search region over the box's", minimum=1)
    clip_search: bool = option(False, "end search regions at the border of the image")
    levels: list[str] = option([], "maps it reads, as head.levels; empty: those")
    skip_channels: int = option(0, "as head.skip_channels", minimum=0)
    roi_op: str = option("pool", "RoIPool or RoIAlign of the search region", ["align", "pool"])
    pool_size: int = option(14, "bins a side of the pooled region", minimum=1)
    channels: int = option(512, "channels of its two 3x3 convolutions", minimum=1)
    cells: int = option(28, "rows and columns a region is cut into", minimum=2)
    foreground_iou: float = option(
        0.4, "proposals this close to a box are trained to find it", minimum=0, maximum=1
    )
    batch_per_image: int = option(64, "most proposals trained per image", minimum=1)
    loss_weight: float = option(1.0, "factor of its loss", minimum=0)
    decoding: str = option(
        "likelihood",
        "boxes of the highest likelihood, or from the first to the last cell above threshold (in_out)",
        ["likelihood", "threshold"],
    )
    threshold: float = option(
        0.5, "probability of a cell that is inside, for threshold decoding", minimum=0, maximum=1
    )


@dataclasses.dataclass(frozen=True)
class PostprocessConfig:
    """From scored boxes to detections."""

    score_threshold: float = option(0.001, "detections below are dropped", minimum=0, maximum=1)
    min_size_px: float = option(0.0, "detections with a smaller side are dropped", minimum=0)
    nms_iou: float = option(0.5, "NMS threshold within a class", minimum=0, maximum=1)
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
    prune_iou: float = option(
        0.95, "several rounds: NMS threshold of those pairs, within a class", minimum=0, maximum=1
    )
    vote_iou: float = option(
        0.0,
        "box voting: a detection becomes the mean of its class's candidates this close; 0: none",
        minimum=0,
        maximum=1,
    )
    vote_offset: float = option(0.0, "box voting: candidates weigh max(0, score + this)")


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The detector."""

    backbone: BackboneConfig = dataclasses.field(default_factory=BackboneConfig)
    fpn: FPNConfig = dataclasses.field(default_factory=FPNConfig)
    rpn: RPNConfig = dataclasses.field(default_factory=RPNConfig)
    head: HeadConfig = dataclasses.field(default_factory=HeadConfig)
    locnet: LocNetConfig = dataclasses.field(default_factory=LocNetConfig)
    postprocess: PostprocessConfig = dataclasses.field(default_factory=PostprocessConfig)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Optimisation, schedule, logs and checkpoints."""

    seed: int = option(
        0, "of initial weights, order, augmentation and sampling; --seed overrides it", minimum=0
    )
    stages: list[dict] = option(
        [],
        "alternating training: what each stage changes, {section.key: value}; start: pretrained in one: not "
        "from the weights of the stage before",
    )
    part: str = option(
        "all",
        "what learns, and has losses: both stages, or one of them with the backbone",
        ["all", "rpn", "head"],
    )
    batch_size: int = option(8, "images per step over all devices", minimum=1)
    epochs: int = option(12, "passes over the training images", minimum=1)
    max_steps: int = option(0, "stop after this many steps; 0: epochs decide", minimum=0)
    accumulate_steps: int = option(
        1,
        "parts in which a batch is worked through, one after the other, where it does not fit into memory; the "
        "update is that of the whole batch",
        minimum=1,
    )
    learning_rate: float = option(0.01, "peak learning rate at base_batch_size", minimum=0)
    base_batch_size: int = option(8, "batch size the learning rate is meant for", minimum=1)
    scale_learning_rate: bool = option(
        True, "multiply the learning rate by batch_size / base_batch_size"
    )
    schedule: str = option(
        "step",
        "step: times decay_factor at decay_epochs; cosine: to final_learning_rate",
        "lhrcnn.training:SCHEDULES",
    )
    decay_epochs: list[float] = option([8, 11], "epochs at which the step schedule decays")
    decay_factor: float = option(0.1, "factor of each decay", minimum=0)
    final_learning_rate: float = option(
        0.0, "end of the cosine, as a share of the peak", minimum=0, maximum=1
    )
    warmup_steps: int = option(500, "linear warm-up, in steps", minimum=0)
    warmup_factor: float = option(
        1 / 3, "share of the learning rate at step 0", minimum=0, maximum=1
    )
    optimizer: str = option(
        "sgd",
        "sgd: momentum with coupled L2; sgdw: tensorflow-addons' decoupled decay; adamw: Adam with "
        "that",
        "lhrcnn.training:OPTIMIZERS",
    )
    momentum: float = option(0.9, "of SGD", minimum=0, maximum=1)
    nesterov: bool = option(False, "Nesterov momentum")
    weight_decay: float = option(1e-4, "L2 of kernels; batch norm and biases have none", minimum=0)
    gradient_multipliers: dict[str, float] = option(
        {},
        "factor on the gradients of variables whose name starts with the key, e.g. {head/thin_map: 3}",
    )
    clip_norm: float = option(0.0, "largest global gradient norm; 0: no clipping", minimum=0)
    ema_decay: float = option(
        0.0,
        "decay of the weight average used for evaluation and export; 0: none",
        minimum=0,
        maximum=1,
    )
    precision: str = option("float32", "arithmetic of the network", PRECISIONS)
    log_every: int = option(20, "steps between log lines", minimum=1)
    checkpoint_every: int = option(
        500, "steps between checkpoints; one is also written after each epoch", minimum=1
    )
    keep_checkpoints: int = option(2, "newest checkpoints kept, beside the best", minimum=1)
    eval_every: int = option(
        1, "epochs between evaluations on the validation split; 0: only after the last", minimum=0
    )
    best_metric: str = option(
        "",
        "number of the validation that picks the best checkpoint, the higher the better, such as "
        "coco/AP50 or voc07/mAP; empty: coco/AP, or the main number of the first of eval.metrics",
    )
    num_images: int = option(
        6, "validation images drawn for TensorBoard at each evaluation", minimum=0
    )


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """What `lhrcnn pretrain` does with a backbone; data, model.backbone and train apply as they do to a detector."""

    teacher: str = option(
        "",
        "backbone whose features, with its ImageNet weights, take the place of labels; empty: learn the classes of folders",
        "lhrcnn.weights.sources:KERAS_MODELS",
    )
    teacher_levels: list[str] = option(
        ["c3", "c4", "c5"],
        "maps of the backbone that are to predict the teacher's of the same stride",
    )
    crop_size: int = option(224, "side in px of the squares the network sees", minimum=1)
    test_resize: int = option(
        256, "short side in px of the images whose middle is tested", minimum=1
    )
    min_crop_area: float = option(
        0.08, "training: smallest share of an image's area that is cut out", minimum=0, maximum=1
    )
    label_smoothing: float = option(
        0.1, "share of the target spread over all classes", minimum=0, maximum=1
    )


@dataclasses.dataclass(frozen=True)
class EvalConfig:
    """Evaluation of detections."""

    batch_size: int = option(8, "images per step over all devices", minimum=1)
    metrics: list[str] = option(
        ["coco"],
        "what detections are scored by; the first one's main number picks the best checkpoint",
        "lhrcnn.evaluation.metrics:METRICS",
    )
    text_score: float = option(
        0.5, "least score of the detections that deteval and icdar_iou count", minimum=0, maximum=1
    )
    backend: str = option(
        "hotcoco",
        "what counts COCO's numbers; fast: faster-coco-eval; reference: pycocotools",
        "lhrcnn.evaluation.metrics:BACKENDS",
    )


@dataclasses.dataclass(frozen=True)
class TestConfig:
    """How images are looked at in evaluation after training, prediction and export."""

    scales: list[float] = option(
        [1.0], "sizes at which an image is looked at, as shares of its usual one"
    )
    merge: str = option(
        "maxout",
        "several scales; maxout: a box's features of two adjacent ones, merged by maximum; detections: those of all",
        ["maxout", "detections"],
    )
    roi_side: float = option(
        224.0,
        "maxout: a box goes to the two adjacent scales at which its side is closest to this many px",
        minimum=1,
    )
    flip: bool = option(False, "detect in the mirrored image too, and merge the detections")
    precision: str = option(
        "float32", "arithmetic of the network, whatever it was trained with", PRECISIONS
    )


@dataclasses.dataclass(frozen=True)
class Config:
    """A whole experiment."""

    plugins: list[str] = option(
        [],
        "modules or .py files of your own, imported before the options are checked; they put entries "
        "into the dicts of what can be chosen",
    )
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    pretrain: PretrainConfig = dataclasses.field(default_factory=PretrainConfig)
    eval: EvalConfig = dataclasses.field(default_factory=EvalConfig)
    test: TestConfig = dataclasses.field(default_factory=TestConfig)
