"""Graphs that runtimes other than TensorFlow can run: no loops, common ops only."""

import contextlib
import json

import tensorflow as tf

_tracing = []


@contextlib.contextmanager
def portable(runtime=""):
    """Functions that are traced inside use no op that ONNX has no word for, if there is a choice.

    NMS then runs image by image without a loop, by `tf.image.non_max_suppression`; the number of
    images must be known. runtime: "onnx" for an ONNX file alone, with operators of
    `onnx_operator`; "litert" for LiteRT alone, with the form of NMS that it has."""
    _tracing.append(runtime)
    try:
        yield
    finally:
        _tracing.pop()


def is_portable():
    """Whether what is traced now must be `portable`."""
    return bool(_tracing)


def traced_for(runtime):
    """Whether what is traced now is for that runtime of `portable` alone."""
    return bool(_tracing) and _tracing[-1] == runtime


def onnx_operator(name, inputs, shape, **attributes):
    """The float32 output, of this shape, of an ONNX operator that TensorFlow has none for.

    In TensorFlow it stands for the operator and cannot run; `lhrcnn.inference.export.onnx` puts
    the operator there, which `OPERATOR` tells from others."""

    def refuse(*_):
        raise NotImplementedError(f"ONNX operator {name}: runs in ONNX files only")

    description = json.dumps({"operator": name, **attributes})
    return tf.ensure_shape(tf.numpy_function(refuse, [*inputs, description], tf.float32), shape)


OPERATOR = "PyFunc"  # TensorFlow's name of what stands for an operator of ONNX
