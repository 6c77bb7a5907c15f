"""The convolutional networks under both stages, by name.

An entry is a function (BackboneConfig) -> models.parts.Backbone, or "module:function" of one.
"""

_HERE = "lhrcnn.models.backbones"
_RESNETS = ["resnet50", "resnet101", "resnext101_32x4d", "resnext101_64x4d", "resnext101_32x8d"]
BACKBONES = {
    "xception": f"{_HERE}.xception:xception",
    "mobilenet_v2": f"{_HERE}.mobilenet:mobilenet_v2",
    "mobilenet_v3_large": f"{_HERE}.mobilenet_v3:mobilenet_v3_large",
    "efficientnet_lite0": f"{_HERE}.efficientnet_lite:efficientnet_lite",
    "efficientnet_lite1": f"{_HERE}.efficientnet_lite:efficientnet_lite",
    "efficientnet_lite2": f"{_HERE}.efficientnet_lite:efficientnet_lite",
    "vgg16": f"{_HERE}.vgg:vgg16",
    **dict.fromkeys(_RESNETS, f"{_HERE}.resnet:resnet"),
}
# Of backbones that may end at c4: (BackboneConfig) -> the stage after it as a Keras model of boxes
# pooled from c4, [N, P, P, C] -> [N, P / 2, P / 2, F], which a stage5 extractor runs on each box.
LAST_STAGES = dict.fromkeys(_RESNETS, f"{_HERE}.resnet:stage5")
