"""RoI features, from maps and boxes, by name.

An entry is a class or function (ModelConfig, strides) -> models.parts.Extractor, or "module:name"
of one; `model.head.kind` is its key, and heads.box.BoxHead scores the features.
"""

EXTRACTORS = {
    "light": "lhrcnn.models.extractors.light:LightExtractor",
    "fc": "lhrcnn.models.extractors.fast_rcnn:FCExtractor",
    "stage5": "lhrcnn.models.extractors.fast_rcnn:Stage5Extractor",
}
