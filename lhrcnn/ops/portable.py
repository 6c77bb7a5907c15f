"""Graphs that runtimes other than TensorFlow can run: one image, no loops, common ops only."""

import contextlib

_tracing = []


@contextlib.contextmanager
def portable():
    """Functions that are traced inside use no op that ONNX has no word for, if there is a choice.

    NMS then runs image by image without a loop, by `tf.image.non_max_suppression`; the number of
    images must be known."""
    _tracing.append(True)
    try:
        yield
    finally:
        _tracing.pop()


def is_portable():
    """Whether what is traced now must be `portable`."""
    return bool(_tracing)
