"""RoI features, from maps and boxes, by name.

An entry is a function (ModelConfig, strides) -> models.parts.Extractor, or "module:function" of
one; `model.head.kind` is that name, and heads.box.BoxHead scores the features.
"""

EXTRACTORS = {
    "light": "lhrcnn.models.extractors.light:light",
    "fc": "lhrcnn.models.extractors.fast_rcnn:fc",
    "stage5": "lhrcnn.models.extractors.fast_rcnn:stage5",
}
