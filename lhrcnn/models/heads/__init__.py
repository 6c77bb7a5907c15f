"""The second stage: scores and boxes.

HEADS has those that need no extractor: a class or function (ModelConfig, strides, num_classes) ->
models.parts.Head, or "module:name" of one.
"""

import collections

from lhrcnn.models.extractors import EXTRACTORS

HEADS = {"rfcn": "lhrcnn.models.heads.rfcn:RFCNHead"}
# What model.head.localisation may be: what is predicted for each row and column of cells, whether
# it is inside the box, holds its first border, or the last one. Without any, boxes are regressed.
LOCALISATIONS = {
    "box": (),
    "in_out": ("inside",),
    "borders": ("first", "last"),
    "combined": ("inside", "first", "last"),
}
KINDS = collections.ChainMap(HEADS, EXTRACTORS)  # what model.head.kind may be
