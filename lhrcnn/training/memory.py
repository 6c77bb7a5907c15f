"""Memory between two calls of Keras `fit`."""

import contextlib
import ctypes
import gc


def give_back():
    """Gives back to the system what a `fit` and a validation have left."""
    gc.collect()  # graphs of their pipelines are cycles; Python would let 100s gather
    with contextlib.suppress(AttributeError):  # of glibc alone, which else keeps what is free
        ctypes.CDLL(None).malloc_trim(0)
