"""Names of backbones in PyTorch's model zoos: torchvision's, which mmdetection and others took
over.
"""

from lhrcnn.weights import layouts

CONVOLUTIONS = ("reduce", "conv", "expand")
# Part of a detector, stage, unit, layer and whether it is the layer's batch norm; a stage5 head
# has the last stage.
RESNET_UNIT = r"(backbone/|head/stage5/)c(\d)_(\d+)_(reduce|conv|expand|shortcut)(_norm)?"
VGG16 = {1: (0, 2), 2: (5, 7), 3: (10, 12, 14), 4: (17, 19, 21), 5: (24, 26, 28)}
V3_PARTS = ("expand", "depthwise", "squeeze", "project")  # of a unit, in torchvision's order
V3_SQUEEZED = ("4", "5", "6", "11", "12", "13", "14", "15")  # units of MobileNetV3-Large with SE


def resnet(prefix="", stage5_prefix=""):
    """Layers of a ResNet or ResNeXt; `prefix` stands before those of the backbone, `stage5_prefix`
    before those of the stage5 head."""

    def unit(match):
        return (prefix if match[1] == "backbone/" else stage5_prefix) + resnet_unit(
            *match.groups()[1:]
        )

    return (
        ("backbone/stem", f"{prefix}conv1"),
        ("backbone/stem_norm", f"{prefix}bn1"),
        (RESNET_UNIT, unit),
    )


def resnet_unit(stage, unit, part, norm):
    """torchvision's name of a layer of a residual unit: ("3", "1", "expand", "_norm") ->
    layer2.0.bn3."""
    layer = f"layer{int(stage) - 1}.{int(unit) - 1}."
    if part == "shortcut":
        return layer + ("downsample.1" if norm else "downsample.0")
    return layer + ("bn" if norm else "conv") + str(CONVOLUTIONS.index(part) + 1)


def vgg16(features="features.", fc6="classifier.0", fc7="classifier.3"):
    """Layers of VGG16: convolutions, and fc6 and fc7 of a head with 7 x 7 bins."""
    return (
        (
            r"backbone/conv(\d)_(\d)",
            lambda match: f"{features}{VGG16[int(match[1])][int(match[2]) - 1]}",
        ),
        ("head/fc1", fc6, layouts.from_channels_first(7)),
        ("head/fc2", fc7),
    )


def mobilenet_v2():
    """Layers of MobileNetV2."""

    def layer(match):
        index, part, norm = int(match[1]), match[2], int(bool(match[3]))
        # The first block does not expand.
        place = ("expand", "depthwise", "project").index(part) - (index == 1)
        return f"features.{index}.conv." + (
            str(place + norm) if part == "project" else f"{place}.{norm}"
        )

    return (
        ("backbone/block0", "features.0.0"),
        ("backbone/block0_norm", "features.0.1"),
        ("backbone/block18", "features.18.0"),
        ("backbone/block18_norm", "features.18.1"),
        (r"backbone/block(\d+)_(depthwise)()", layer, layouts.depthwise),
        (r"backbone/block(\d+)_(expand|depthwise|project)(_norm)?", layer),
    )


def mobilenet_v3_large(prefix="features."):
    """Layers of MobileNetV3-Large; `prefix` stands before their numbers."""

    def layer(match):
        unit, part, norm = match[1], match[2], int(bool(match[3]))
        parts = [part for part in V3_PARTS if unit != "1" or part != "expand"]
        if unit not in V3_SQUEEZED:
            parts.remove("squeeze")
        if part == "excite":
            return f"{prefix}{unit}.block.{parts.index('squeeze')}.fc2"
        place = f"{prefix}{unit}.block.{parts.index(part)}."
        return place + ("fc1" if part == "squeeze" else str(norm))

    return (
        (
            r"backbone/block(0|16)(_norm)?",
            lambda match: f"{prefix}{match[1]}.{int(bool(match[2]))}",
        ),
        (r"backbone/block(\d+)_(depthwise)()", layer, layouts.depthwise),
        (r"backbone/block(\d+)_(expand|depthwise|squeeze|excite|project)(_norm)?", layer),
    )
