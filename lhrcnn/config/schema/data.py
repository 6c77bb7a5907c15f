"""Options of `data`."""

import dataclasses

from lhrcnn.config.schema.option import SOME, option, share


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where the images are and what happens to them before the network."""

    format: str = option(
        "shapes",
        "layout of the data set; shapes is generated when missing; folders: SPLIT/CLASS/images, "
        "to pretrain",
        "lhrcnn.data.readers:READERS",
    )
    dir: str = option("datasets/shapes", "folder of the data set; --data_dir overrides it")
    train_split: str = option(
        "train",
        "training images: VOC or DET lists (VOC2007/trainval, + joins), COCO split or .json file, "
        "folder",
    )
    val_split: str = option(
        "val", "images evaluated during training, named the same way; empty: none"
    )
    test_split: str = option("val", "images eval_main.py scores by default")
    image_dir: str = option(
        "",
        "folder of the images, relative to dir, for annotations that are found by names; empty: "
        "all of dir, for COCO the folder of the split",
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
        lengths=SOME,
    )
    test_short_side: int = option(
        0, "short side in px for evaluation and prediction; 0: the last of short_side", minimum=0
    )
    long_side: int = option(1333, "longest side in px after a keep_ratio resize", minimum=1)
    size_rounding: str = option(
        "half_to_even",
        "sides in px after a keep_ratio resize; half_up: as mmdetection and detectron2; floor: as "
        "torchvision",
        ["half_to_even", "half_up", "floor"],
    )
    stretch_size: list[int] = option(
        [144, 144], "height and width in px of a stretch resize", minimum=1, lengths=[2]
    )
    antialias: bool = option(
        False, "low-pass filter when a resize shrinks images; takes longer than decoding them"
    )
    accurate_jpeg: bool = option(
        False,
        "decode JPEG files to the pixels of Pillow and OpenCV; off: quicker, up to some 5 of 255 "
        "from them",
    )
    whole_pixels: bool = option(
        True,
        "pixels are whole numbers after a resize; off: evaluation and prediction keep fractions, "
        "as torchvision does, and do not read cache_dir",
    )
    pad_multiple: int = option(
        32, "padded height and width are multiples of this many px", minimum=1
    )
    aspect_groups: list[float] = option(
        [1.0, 1.34, 1.67],
        "long/short ratios of the padded canvases; images share a batch within one canvas",
        minimum=1,
        lengths=SOME,
    )
    flip: bool = option(True, "mirror half of the training images left-right")
    photometric: float = share(0.0, "strength of random brightness, contrast, saturation and hue")
    min_crop: float = option(
        1.0, "random crop: smallest kept share of each side, 1: no crop", above=0, maximum=1
    )
    max_expand: float = option(
        1.0, "random expansion: largest canvas over the image's side, 1: none", minimum=1
    )
    transforms: list[str] = option(
        [],
        "what else is done to training batches, in order; keras-cv's, all here but ExactMixUp and "
        "ExactMosaic, draw their own numbers",
        "lhrcnn.data.transforms:TRANSFORMS",
    )
    max_boxes: int = option(
        0, "most objects learnt of an image, its largest; others are ignored; 0: all", minimum=0
    )
    keep_empty: bool = option(False, "train on images without boxes too")
    repeat_below: float = share(
        0.0,
        "an epoch shows images more often if one of their classes is in fewer than this share of "
        "all: sqrt(repeat_below / share) times (LVIS); 0: each once",
    )
    use_difficult: bool = option(
        True, "train on VOC boxes marked difficult (they never count in evaluation)"
    )
    voc_corners: str = option(
        "auto",
        "corners in VOC's XML files: 1-based inclusive, 0-based half-open; auto: a corner 0 "
        "or CVAT's <attributes> decide",
        ["auto", "one_based", "zero_based"],
    )
    max_aspect: float = option(
        0.0, "train on images with a long/short ratio up to this; 0: all", minimum=0
    )
    on_error: str = option(
        "fail",
        "wrong images and boxes, and files damaged inside: fail, or skip and count them (every "
        "image is decoded first, in sets of up to 20,000)",
        ["fail", "skip"],
    )
    proposals: str = option(
        "",
        "folder of `lhrcnn proposals`: second stages take the boxes of its files, not their own "
        "RPN's; empty: they do not",
    )
    cache_dir: str = option(
        "",
        "folder for decoded images, resized; where random windows are cut from them (min_crop, "
        "max_expand), whole or, if that is half or less, as large as the smallest window needs; "
        "empty: decode every time",
    )
    workers: int = option(
        0, "parallel reads and decodes; 0: as many as processors, at most 16", minimum=0
    )
