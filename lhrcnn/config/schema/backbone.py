"""Options of `model.backbone` and `model.fpn`."""

import dataclasses
import typing

from lhrcnn.config.schema.option import SOME, option, share


@dataclasses.dataclass(frozen=True)
class BackboneConfig:
    """The convolutional network under both stages."""

    name: str = option("xception", "architecture", "lhrcnn.models.backbones:BACKBONES")
    weights: str = option(
        "",
        "pretrained weights: imagenet, a file (.npz, torchvision .pth) or a run directory; empty: "
        "random",
    )
    frozen_stages: int = option(
        0,
        "leading stages that are not trained (1: the stem); a pyramid is the last stage, 99 "
        "freezes all",
        minimum=0,
    )
    batch_norm: str = option(
        "train",
        "train: all of it; affine: fixed statistics, as mmdetection; frozen: fixed",
        ["train", "affine", "frozen"],
    )
    batch_norm_momentum: float = share(0.97, "share of the old running statistics kept per step")
    width: float = option(1.0, "multiplier of the channels", minimum=0)
    out_stride: int = option(
        16,
        "stride of the last map: 16 (its stage keeps the resolution) or 32; VGG16's is 16",
        [16, 32],
    )
    enlarge: int = option(
        1,
        "times small images are enlarged for it; 2: features finer, strides half and about four "
        "times the work",
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
        "ResNets, MobileNets, EfficientNet-Lite: dilation of a last stage of stride 16 (2: DC5, "
        "Light-Head L, and what pretrained weights of stride 32 expect)",
        minimum=1,
    )
    top_conv: bool = option(
        False,
        "MobileNets, EfficientNet-Lite: c5 is what the classifier sees, the 1280 channels of a "
        "last 1x1 convolution (MobileNetV3: 960)",
    )
    stem_pool: str = option(
        "symmetric",
        "ResNets: padding of the max pool; same: TensorFlow's, of TF-slim's checkpoints",
        ["symmetric", "same"],
    )
    pixel_mean: list[float] = option(
        [],
        "RGB means subtracted from 0-255 pixels; empty: those of the backbone's usual weights",
        lengths=[0, 3],
    )
    pixel_std: list[float] = option(
        [],
        "RGB deviations pixels are divided by; empty: those of the backbone's usual weights",
        above=0,
        lengths=[0, 3],
    )
    options: dict[str, typing.Any] = option({}, "of a backbone of your own, as it understands them")


@dataclasses.dataclass(frozen=True)
class FPNConfig:
    """The feature pyramid between backbone and both stages (arXiv 1612.03144)."""

    channels: int = option(0, "channels of every level; 0: no pyramid", minimum=0)
    levels: list[str] = option(
        ["c2", "c3", "c4", "c5"], "backbone maps it reads; c3 becomes p3, beside it", lengths=SOME
    )
    batch_norm: bool = option(
        False,
        "batch norm behind its convolutions; VGG16 needs it, whose c4 is ten times as large as "
        "its c5",
    )
    extra_level: bool = option(
        True, "one more level, every second cell of the last, for the RPN's largest anchors"
    )
