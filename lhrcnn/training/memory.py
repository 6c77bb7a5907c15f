"""Memory between two calls of Keras `fit`."""

import contextlib
import ctypes
import gc
import time

_EVERY = 60  # s, at least: it takes .2 s and more, as long as a small epoch
_given = {"at": time.monotonic()}


def give_back():
    """Gives back to the system what fits and validations have left, once a minute at most."""
    if time.monotonic() - _given["at"] < _EVERY:
        return
    _given["at"] = time.monotonic()
    gc.collect()  # graphs of their pipelines are cycles; Python would let 100s gather
    with contextlib.suppress(AttributeError):  # of glibc alone, which else keeps what is free
        ctypes.CDLL(None).malloc_trim(0)
