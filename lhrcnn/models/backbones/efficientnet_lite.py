"""EfficientNet-Lite 0, 1 and 2 as detection backbones.

EfficientNet (arXiv 1905.11946, table 1) without squeeze-and-excitation and with ReLU6; all sizes
have the same first convolution, and one unit each in the first and in the last stage.

Strided convolutions pad both sides, as everywhere here. The original pads as TensorFlow's SAME:
alike on sides of 2^n + 1 px; on others its maps are those of a shifted image, but for the border.
"""

from lhrcnn.models.backbones.mobilenet import inverted_residuals

# Expansion, channels, stride, kernel size; `ARCHITECTURES` has the units.
STAGES = (
    (1, 16, 1, 3),
    (6, 24, 2, 3),
    (6, 40, 2, 5),
    (6, 80, 2, 3),
    (6, 112, 1, 5),
    (6, 192, 2, 5),
    (6, 320, 1, 3),
)
ARCHITECTURES = {  # a factor on the channels, and the units of each stage
    "efficientnet_lite0": (1.0, (1, 2, 2, 3, 3, 4, 1)),
    "efficientnet_lite1": (1.0, (1, 3, 3, 4, 4, 5, 1)),
    "efficientnet_lite2": (1.1, (1, 3, 3, 4, 4, 5, 1)),
}
PIXEL_MEAN, PIXEL_STD = (127.0,) * 3, (128.0,) * 3


def efficientnet_lite(config):
    """The Backbone of {"c2", "c3", "c4", "c5"} of a BackboneConfig, see `inverted_residuals`."""
    width, units = ARCHITECTURES[config.name]
    stages = [(*stage[:2], number, *stage[2:]) for stage, number in zip(STAGES, units)]
    return inverted_residuals(config, stages, width * config.width, PIXEL_MEAN, PIXEL_STD)
