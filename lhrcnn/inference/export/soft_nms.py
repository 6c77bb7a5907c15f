"""Soft-NMS in ONNX's operators, which have none for it: a loop of a few small steps per survivor.

Twin of `tf.image.non_max_suppression_with_scores`; arXiv 1704.04503, eq. 3.
"""

import onnx.compose
import onnx.parser
from onnx import helper

DOMAIN, OPERATOR = "lhrcnn", "SoftNMS"  # what stands for it until `put` comes

# Boxes [n, 4], scores [n] in; out: the score with which each box survives, 0 for others. Corners
# are (ymin, xmin, -ymax, -xmax), so that one maximum gives both corners of what two boxes share.
TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
soft_nms (float[n, 4] boxes, float[n] scores) => (float[n] survived)
{{
  signs = Constant <value = float[4] {{1, 1, -1, -1}}> ()
  rate = Constant <value_float = {rate}> ()
  threshold = Constant <value_float = {threshold}> ()
  least = Constant <value_float = 1e-12> ()
  zero = Constant <value_float = 0.0> ()
  most = Constant <value_int = {most}> ()
  first = Constant <value_int = 0> ()
  next = Constant <value_int = 1> ()
  go = Constant <value = bool {{1}}> ()
  signed = Mul (boxes, signs)
  corners = Transpose <perm = [1, 0]> (signed)
  low, high = Split <axis = 0> (corners)
  together = Add (low, high)
  sides = Neg (together)
  areas = ReduceProd <axes = [0], keepdims = 0> (sides)
  shape = Shape (scores)
  length = Squeeze (shape)
  number = Range (first, length, next)
  above = Greater (scores, threshold)
  start = Where (above, scores, zero)
  none = Sub (start, start)
  rest, survived = Loop (most, go, start, none) <body = step
    (int64 count, bool running, float[n] left, float[n] kept)
    => (bool goes_on, float[n] left_then, float[n] kept_then)
    {{
      best = ArgMax <axis = 0, keepdims = 1> (left)
      is_best = Equal (number, best)
      kept_then = Where (is_best, left, kept)
      own_corners = Gather <axis = 1> (corners, best)
      inner = Max (corners, own_corners)
      inner_low, inner_high = Split <axis = 0> (inner)
      overlap = Add (inner_low, inner_high)
      negative = Neg (overlap)
      inner_sides = Relu (negative)
      common = ReduceProd <axes = [0], keepdims = 0> (inner_sides)
      own_area = Gather <axis = 0> (areas, best)
      both = Add (areas, own_area)
      union = Sub (both, common)
      positive = Max (union, least)
      iou = Div (common, positive)
      squared = Mul (iou, iou)
      exponent = Mul (squared, rate)
      factor = Exp (exponent)
      decayed = Mul (left, factor)
      below = LessOrEqual (decayed, threshold)
      gone = Or (is_best, below)
      left_then = Where (gone, zero, decayed)
      most_left = ReduceMax <keepdims = 0> (left_then)
      goes_on = Greater (most_left, zero)
    }}>
}}
"""


def put(model):
    """Puts the loop where nodes of `OPERATOR` stand in an ONNX model; attributes of these:
    max_outputs, score_threshold, soft_sigma."""
    nodes = []
    for node in model.graph.node:
        nodes.extend(_loop_of(node) if node.op_type == OPERATOR else [node])
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    others = [opset for opset in model.opset_import if opset.domain != DOMAIN]
    del model.opset_import[:]
    model.opset_import.extend(others)


def _loop_of(node):
    options = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    text = TEXT.format(
        rate=repr(-1.0 / options["soft_sigma"]),
        threshold=f"{options['score_threshold']:.9e}",
        most=options["max_outputs"],
    )
    prefix = f"{node.output[0]}/"
    graph = onnx.compose.add_prefix(onnx.parser.parse_model(text), prefix).graph
    given = zip(node.input, graph.input)
    return [
        *(helper.make_node("Identity", [name], [value.name]) for name, value in given),
        *graph.node,
        helper.make_node("Identity", [graph.output[0].name], [node.output[0]]),
    ]
