"""Where the time of a detector goes: each stage run by itself on the inputs that it really gets,
beside the whole and a matrix product."""

import statistics
import time

import numpy as np
import tensorflow as tf

from lhrcnn.autograph import without_autograph
from lhrcnn.models import postprocess
from lhrcnn.models.constant_kernels import constant_kernels

_GEMM_SIZE = 1536
_POOLING_OPS = ("LhrcnnPsRoiAlign", "LhrcnnRoiAlign", "LhrcnnRoiPool")


class Stage:
    """A function of tensors, compiled as a graph for the tensors it is called with."""

    def __init__(self, body, *inputs):
        """The stage computes body(*inputs); tensors in `inputs` are the arguments of its graph."""
        leaves = tf.nest.flatten(inputs)

        def call(*tensors):
            remaining = iter(tensors)
            given = [next(remaining) if tf.is_tensor(leaf) else leaf for leaf in leaves]
            return body(*tf.nest.pack_sequence_as(inputs, given))

        self.call, self.inputs = call, [leaf for leaf in leaves if tf.is_tensor(leaf)]
        graph = tf.function(without_autograph(call))
        self.graph = graph.get_concrete_function(*self.inputs)

    def milliseconds(self):
        """Wall time of one call."""
        start = time.perf_counter()
        self.graph(*self.inputs)
        tf.test.experimental.sync_devices()
        return 1000 * (time.perf_counter() - start)

    def products(self):
        """(a stage that runs the convolutions and matrix products of this one alone, one by one on
        their recorded operands, None without any; their multiply-adds)."""
        found = []

        def operands(*tensors):
            self.call(*tensors)
            found.extend(op for op in tensors[0].graph.get_operations() if op.type in _PRODUCTS)
            return [list(op.inputs[:2]) for op in found]

        recorded = Stage(operands, *self.inputs).graph(*self.inputs)
        if not found:
            return None, 0

        sizes = []

        def replay(recorded):
            last, samples = [], []
            for op, pair in zip(found, recorded):
                with tf.control_dependencies(last):
                    last = [_PRODUCTS[op.type][0](op, *pair)]
                sizes.append(last[0].shape.num_elements())
                samples.append(tf.reshape(last[0], [-1])[:1])
            return samples

        stage = Stage(replay, recorded)
        return stage, sum(
            size * _PRODUCTS[op.type][1](op, *(operand.shape for operand in pair))
            for size, op, pair in zip(sizes, found, recorded)
        )


def _convolution(kind):
    return lambda op, x, kernel: kind(
        x,
        kernel,
        op.get_attr("strides"),
        op.get_attr("padding").decode(),
        dilations=op.get_attr("dilations")[1:3],
    )


def _transposed(op, which):
    return op.get_attr(("transpose_" if op.type == "MatMul" else "adj_") + which)


def _matmul(op, a, b):
    return tf.matmul(
        a,
        b,
        transpose_a=_transposed(op, "a" if op.type == "MatMul" else "x"),
        transpose_b=_transposed(op, "b" if op.type == "MatMul" else "y"),
    )


def _summed(op, first, _):
    return first[-2 if _transposed(op, "a" if op.type == "MatMul" else "x") else -1]


# name: (how to run it again, multiply-adds for each number it gives)
_PRODUCTS = {
    "Conv2D": (_convolution(tf.nn.conv2d), lambda op, _, kernel: int(np.prod(kernel[:3]))),
    "DepthwiseConv2dNative": (
        _convolution(tf.nn.depthwise_conv2d),
        lambda op, _, kernel: int(np.prod(kernel[:2])),
    ),
    "MatMul": (_matmul, _summed),
    "BatchMatMulV2": (_matmul, _summed),
}


def stages_of(detector, image, image_size):
    """{name: `Stage`} of what `detector.detect` does, in its order.

    image: [B, H, W, 3] uint8; image_size: [B, 2], the height and width in px that is no padding.
    "head" begins with the RoI pooling, which stands by itself too where a compiled op does it."""
    normalised = detector.preprocess(image, image_size)
    maps = detector.backbone(normalised, training=False)
    predictions = detector.rpn(maps)
    proposals = detector.rpn.propose(predictions, image_size, training=False)
    prepared = detector.head.prepare(maps, image_size)
    boxes, scores = detector.head.localise(prepared, proposals, image_size)

    def pooling(*inputs):
        boxes, _ = detector.head.localise(*inputs)
        return [op.outputs[0] for op in boxes.graph.get_operations() if op.type in _POOLING_OPS]

    def select(prepared, boxes, scores):
        candidates = postprocess.candidates(
            boxes,
            scores,
            lambda boxes: detector.localise(prepared, boxes, image_size),
            detector.postprocess,
        )
        return detector.select(candidates)

    stages = {
        "preprocessing": Stage(detector.preprocess, image, image_size),
        "backbone": Stage(lambda x: detector.backbone(x, training=False), normalised),
        "RPN": Stage(detector.rpn, maps),
        "proposals": Stage(
            lambda *inputs: detector.rpn.propose(*inputs, training=False), predictions, image_size
        ),
        "RoI preparation": Stage(detector.head.prepare, maps, image_size),
        "RoI pooling": Stage(pooling, prepared, proposals, image_size),
        "head": Stage(detector.head.localise, prepared, proposals, image_size),
        "postprocessing": Stage(select, prepared, boxes, scores),
    }
    if not stages["RoI pooling"].graph.outputs:
        del stages["RoI pooling"]
    return stages


def profile(detector, image, image_size, runs):
    """Medians and 90th percentiles of `runs` rounds of every stage, the whole and a matrix product.

    {"stages": {name: {"ms", "p90_ms", "share", "gmacs", "products_ms", "gemm_share"}}, "total": the
    same, "gemm_gmacs_per_s"}: ms of the stage ("head" without the RoI pooling) and of its
    convolutions and matrix products alone, its share of the whole, 10^9 multiply-adds, and their
    rate over that of a float32 matrix product."""
    with constant_kernels(detector):  # as in the predictor
        stages = stages_of(detector, image, image_size)
        total = Stage(detector.detect, image, image_size)
    matrix = tf.random.stateless_normal([_GEMM_SIZE, _GEMM_SIZE], [0, 0])
    cases = {**stages, "total": total, "gemm": Stage(tf.matmul, matrix, matrix)}
    macs = {}
    for name, stage in stages.items():
        replay, macs[name] = stage.products()
        if replay:
            cases[f"{name} products"] = replay
    times = _by_turns(cases, runs)
    if "RoI pooling" in times:
        times["head"] = [
            whole - pooling for whole, pooling in zip(times["head"], times["RoI pooling"])
        ]
        macs["RoI pooling"] = 0
    times["total products"] = [
        sum(row) for row in zip(*(times[name] for name in times if name.endswith(" products")))
    ]
    macs["total"] = sum(macs.values())
    gemm = _GEMM_SIZE**3 / statistics.median(times["gemm"]) / 1e6
    total = statistics.median(times["total"])
    rows = {
        name: _row(times[name], times.get(f"{name} products", [0.0]), macs[name], total, gemm)
        for name in (*stages, "total")
    }
    return {"total": rows.pop("total"), "stages": rows, "gemm_gmacs_per_s": gemm}


def _row(times, products, macs, total, gemm):
    """The figures of a stage from its ms and multiply-adds; gemm in 10^9 multiply-adds per s."""
    median = statistics.median(times)
    return {
        "ms": median,
        "p90_ms": float(np.percentile(times, 90)),
        "share": median / total,
        "gmacs": macs / 1e9,
        "products_ms": statistics.median(products),
        "gemm_share": macs / median / 1e6 / gemm,
    }


def _by_turns(cases, runs):
    """{name: ms of each of `runs` calls} of Stages, called by turns after two rounds to warm up."""
    times = {name: [] for name in cases}
    for number in range(-2, runs):
        for name, case in cases.items():
            milliseconds = case.milliseconds()
            if number >= 0:
                times[name].append(milliseconds)
    return times
