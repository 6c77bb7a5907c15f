"""The library of compiled ops of this process: built where it must be, loaded once."""

from __future__ import annotations

import ctypes
import os
import threading
import warnings
from typing import Any, NamedTuple

import tensorflow as tf

from lhrcnn.ops import compiling


class Library(NamedTuple):
    """The compiled ops: a module of functions, None where they cannot be had, and a sentence about
    it."""

    module: Any | None
    status: str


_loaded: Library | None = None
_loading = threading.Lock()


def library() -> Library:
    """The `Library`, built and loaded at the first call."""
    global _loaded
    with _loading:  # replicas trace the op from several threads
        if _loaded is None:
            _loaded = _load()
    return _loaded


def custom_op_available() -> bool:
    """Whether the compiled op can be used; builds and loads it at the first call.

    Call it before loading a SavedModel that was exported with the compiled op.
    """
    return library().module is not None


def custom_op_status() -> str:
    """One sentence: where the compiled op is and what it runs on, or why there is none."""
    return library().status


@tf.autograph.experimental.do_not_convert  # it may build a library
def compiled_ops(implementation, name, on_gpus=False):
    """The compiled ops for this implementation, None for pure TensorFlow; on_gpus: whether the one
    of this name has a kernel for GPUs.

    Raises OpBuildError where "custom" cannot be had."""
    if implementation not in ("auto", "custom", "tf"):
        raise ValueError(
            f"implementation is {implementation!r}; it must be 'auto', 'custom' or 'tf'."
        )
    beside_gpu = not on_gpus and tf.config.list_physical_devices("GPU")
    if implementation == "tf" or implementation == "auto" and beside_gpu:
        return None
    compiled = library()
    if implementation == "custom" and compiled.module is None:
        raise compiling.OpBuildError(f"The compiled {name} op is not available: {compiled.status}")
    return compiled.module


def _load() -> Library:
    if compiling.custom_op_disabled():
        return Library(None, "Disabled by LHRCNN_NO_CUSTOM_OP.")
    try:
        path = str(compiling.build_op())
        module = tf.load_op_library(path)
        problem = _gpu_problem(path)
    except (compiling.OpBuildError, tf.errors.OpError, OSError) as error:
        problem = str(error)
    if problem:
        warnings.warn(
            f"{problem} Stock TensorFlow ops take the place of the compiled ones: same results, "
            "slower. LHRCNN_NO_CUSTOM_OP=1 silences this.",
            RuntimeWarning,
            stacklevel=4,
        )
        return Library(None, problem)
    return Library(module, f"{path} ({compiling.read_stamp(path)})")


def _gpu_problem(path: str) -> str | None:
    """Why the library must not be used on a machine with a GPU; None if it may."""
    if os.environ.get("LHRCNN_CUDA") == "0" or not tf.config.list_physical_devices("GPU"):
        return None
    probe = getattr(ctypes.CDLL(path), "LhrcnnPsRoiAlignProbe", None)
    if probe is None:
        return (
            "The compiled op has no CUDA kernels and this machine has a GPU: install nvcc "
            "(the CUDA toolkit), or set LHRCNN_CUDA=0 to pool on the CPU."
        )
    error = probe()
    if error:
        return (
            f"The CUDA kernels of the compiled op do not run here (cudaError {error}): is the "
            "driver older than nvcc? Update the driver, or build with an older nvcc "
            "(CUDA_HOME)."
        )
    return None
