"""The second stage: scores and boxes.

HEADS has those that need no extractor: functions (ModelConfig, strides, num_classes) ->
models.parts.Head, or "module:function" of one.
"""

import collections

from lhrcnn.models.extractors import EXTRACTORS

HEADS = {"rfcn": "lhrcnn.models.heads.rfcn:rfcn"}
KINDS = collections.ChainMap(HEADS, EXTRACTORS)  # what model.head.kind may be
