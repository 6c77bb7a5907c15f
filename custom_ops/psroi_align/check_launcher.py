"""Checks the CUDA kernels of PS-RoIAlign against the host arithmetic, without TensorFlow.

  python check_launcher.py --compile_only   compile for five GPU generations; spills fail
  python check_launcher.py                  also run them; needs a GPU and PyTorch or CuPy
  python check_launcher.py --emulate        run them on the CPU (cuda_emulation); needs g++;
      --sanitize address   under AddressSanitizer and UndefinedBehaviorSanitizer
      --sanitize thread    under ThreadSanitizer, which reports any race of a launch
      --max_blocks 7       blocks of a launch, so that each works through several boxes
      --source FILE        another psroi_align.cu
      --library FILE       what emulate.build has made of one, with the same --sanitize

Exit status: 0 all is well, 1 a check failed, 2 there is no GPU (or nothing to drive it).
"""

import argparse
import ctypes
import itertools
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "cuda_emulation"))
import emulate  # noqa: E402

SOURCE = Path(__file__).resolve().parent / "psroi_align.cu"
ARCHITECTURES = (75, 80, 86, 89, 90)
DATA_TYPES = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 3}
TOLERANCES = {"float32": 1e-5, "float64": 1e-12, "float16": 2e-3, "bfloat16": 2e-2}
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0:exitcode=66",
    "UBSAN_OPTIONS": "print_stacktrace=1:exitcode=66",
    "TSAN_OPTIONS": "exitcode=66:halt_on_error=1:report_signal_unsafe=0",
}
INF, NAN = np.inf, np.nan
ODD_BOXES = [
    [8, 8, 8, 30],
    [30, 8, 8, 30],
    [NAN, 1, 9, 9],
    [1, 1, 9, NAN],
    [0, 0, INF, 9],
    [-INF, 0, 9, 9],
    [-1e30, -1e30, 2e30, 2e30],
    [1e30, 1e30, 2e30, 2e30],
    [-3e38, 0, 2e38, 9],
    [-90, -90, -50, -50],
    [9e3, 9e3, 9.1e3, 9.1e3],
    [-8, -8, 8, 8],
    [0, 0, 4e9, 4e9],
    [3, 3, 3.001, 3.001],
    [0, 0, 160, 160],
    [16, 16, 128, 128],
]


class Params(ctypes.Structure):
    """LhrcnnPsRoiAlignParams of psroi_align.h."""

    _fields_ = (
        [(name, ctypes.c_int64) for name in ("batch", "height", "width", "num_boxes")]
        + [(name, ctypes.c_int32) for name in ("channels", "group_size", "sampling_ratio")]
        + [("spatial_scale", ctypes.c_float)]
        + [(name, ctypes.c_int32) for name in ("aligned", "max_pool", "channel_major")]
    )


class TorchDevice:
    """Device arrays through PyTorch."""

    def __init__(self):
        import torch

        if not torch.cuda.is_available():
            raise ImportError("PyTorch sees no GPU")
        self.torch, self.stream = torch, torch.cuda.Stream()

    def put(self, array):
        return self.torch.from_numpy(array).cuda()

    def get(self, array):
        self.torch.cuda.synchronize()
        return array.cpu().numpy()

    @staticmethod
    def pointer(array):
        return ctypes.c_void_p(array.data_ptr())

    def stream_pointer(self):
        self.torch.cuda.synchronize()  # the arrays came by another stream
        return ctypes.c_void_p(self.stream.cuda_stream)


class CupyDevice:
    """Device arrays through CuPy."""

    def __init__(self):
        import cupy

        try:
            cupy.cuda.runtime.getDeviceCount()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise ImportError(f"CuPy sees no GPU: {error}") from error
        self.cupy, self.stream = cupy, cupy.cuda.Stream(non_blocking=True)

    def put(self, array):
        return self.cupy.asarray(array)

    def get(self, array):
        self.cupy.cuda.runtime.deviceSynchronize()
        return array.get()

    @staticmethod
    def pointer(array):
        return ctypes.c_void_p(array.data.ptr)

    def stream_pointer(self):
        self.cupy.cuda.runtime.deviceSynchronize()
        return ctypes.c_void_p(self.stream.ptr)


class EmulatedDevice:
    """Arrays of the CPU, each an allocation of its own size."""

    @staticmethod
    def put(array):
        return np.array(array)

    @staticmethod
    def get(array):
        return array

    @staticmethod
    def pointer(array):
        return pointer(array)

    @staticmethod
    def stream_pointer():
        return None


def find_device():
    reasons = []
    for device in (TorchDevice, CupyDevice):
        try:
            return device()
        except ImportError as error:
            reasons.append(str(error))
    print(f"No GPU check: {'; '.join(reasons)}.")
    return None


def compile_library(folder):
    """The shared library, for all ARCHITECTURES; None if the compiler fails or spills."""
    nvcc = shutil.which("nvcc")
    if not nvcc:
        print("nvcc was not found in PATH: install the CUDA toolkit.")
        return None
    library = Path(folder) / "psroi_align.so"
    targets = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in ARCHITECTURES]
    result = subprocess.run(
        [
            nvcc,
            "-O3",
            "-std=c++17",
            "-shared",
            "-Xcompiler",
            "-fPIC",
            "-Xptxas",
            "-v",
            "-DLHRCNN_HOST_CHECK",
            *targets,
            str(SOURCE),
            "-o",
            str(library),
        ],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if result.returncode:
        print(result.stdout)
        return None
    spills = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", result.stdout)
    registers = [int(n) for n in re.findall(r"Used (\d+) registers", result.stdout)]
    spilling = [pair for pair in spills if pair != ("0", "0")]
    print(
        f"{len(spills)} kernels for {len(ARCHITECTURES)} architectures: {len(spilling)} spills, "
        f"at most {max(registers, default=0)} registers."
    )
    return library if spills and not spilling else None


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def call(library, function, *arguments):
    error = getattr(library, function)(*arguments)
    if error:
        name = library.LhrcnnPsRoiAlignErrorName(error).decode()
        raise RuntimeError(f"{function} returned cudaError {error} ({name})")


def stored(values, dtype):
    """An array as the kernels take it; bfloat16, which NumPy lacks, as its 16 bits."""
    if dtype != "bfloat16":
        return np.asarray(values).astype(dtype)
    bits = np.asarray(values, np.float32).view(np.uint32)
    nan = np.isnan(np.asarray(values))
    rounded = (bits.astype(np.uint64) + 0x7FFF + (bits >> 16 & 1)) >> 16
    return np.where(nan, 0x7FC0, rounded).astype(np.uint16)


def widened(array, dtype):
    """float64 values of an array as the kernels have it."""
    if dtype == "bfloat16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float64)


def difference(found, wanted):
    if not np.isfinite(found).all():
        return np.inf
    return np.abs(found - wanted).max(initial=0) / max(1, np.abs(wanted).max(initial=0))


def check_case(library, device, params, dtype, boxes, rng):
    """The largest relative differences of (pooled, gradient, ordered gradient)."""
    depth = params.channels * params.group_size**2
    shape = (params.batch, params.height, params.width, depth)
    features = stored(rng.normal(size=shape), dtype)
    gradient = stored(rng.normal(size=(params.batch, params.num_boxes, depth)), dtype)
    pooled, found, argmax = check_forward(library, device, params, dtype, features, boxes)
    differences = [difference(widened(found, dtype), pooled)]
    # Rounding may pick the other of two nearly equal samples: the host takes the device's choice.
    wide, wanted = widened(gradient, dtype), np.zeros(shape)
    library.LhrcnnPsRoiAlignBackwardHost(
        ctypes.byref(params), pointer(wide), pointer(boxes), pointer(argmax), pointer(wanted)
    )
    inputs = [device.put(array) for array in (gradient, boxes, argmax)]
    runs = []
    for deterministic in (0, 1, 1):
        result = device.put(stored(np.full(shape, NAN), dtype))
        accumulator = result
        if dtype in ("float16", "bfloat16"):
            accumulator = device.put(np.full(shape, NAN, np.float32))
        call(
            library,
            "LhrcnnPsRoiAlignBackward",
            ctypes.byref(params),
            DATA_TYPES[dtype],
            *map(device.pointer, (*inputs, accumulator, result)),
            deterministic,
            device.stream_pointer(),
        )
        runs.append(device.get(result))
    differences += [difference(widened(result, dtype), wanted) for result in runs[:2]]
    if runs[1].tobytes() != runs[2].tobytes():
        differences[2] = INF
    return differences


def check_forward(library, device, params, dtype, features, boxes):
    """float64 values of the host, values of the device, argmax of the device."""
    shape = (params.batch, params.num_boxes, features.shape[-1])
    pooled, argmax = np.zeros(shape), np.zeros(shape, np.uint8)
    wide = widened(features, dtype)
    library.LhrcnnPsRoiAlignForwardHost(
        ctypes.byref(params), pointer(wide), pointer(boxes), pointer(pooled), pointer(argmax)
    )
    inputs = [device.put(features), device.put(boxes)]
    # What the kernel does not write stays NaN.
    outputs = [device.put(stored(np.full(shape, NAN), dtype)), device.put(argmax * 0)]
    call(
        library,
        "LhrcnnPsRoiAlignForward",
        ctypes.byref(params),
        DATA_TYPES[dtype],
        *map(device.pointer, inputs + outputs),
        device.stream_pointer(),
    )
    return pooled, device.get(outputs[0]), np.ascontiguousarray(device.get(outputs[1]))


def check_device(path, device, seed=0, few=False):
    """Prints a line for each case, and returns 1 if one failed; `few` cases, with fewer boxes,
    have every dtype, pool and order, for the slow sanitizers."""
    sizes, channels = ((18,), 6) if few else ((0, 40), 10)
    most_boxes = max(sizes)
    library = ctypes.CDLL(str(path))
    library.LhrcnnPsRoiAlignErrorName.restype = ctypes.c_char_p
    rng, failures = np.random.default_rng(seed), 0
    print(f"{'dtype':8} {'pool':4} {'order':13} aligned  S  N    pooled  gradient  ordered")
    for dtype, max_pool, channel_major, aligned, samples, num_boxes in itertools.product(
        DATA_TYPES, (0, 1), (0, 1), (1,) if few else (0, 1), (2,) if few else (1, 2, 3), sizes
    ):
        params = Params(
            2, 10, 11, num_boxes, channels, 7, samples, 1 / 16, aligned, max_pool, channel_major
        )
        corner = rng.uniform(-20, 150, (2, most_boxes, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(0.1, 120, corner.shape)], -1)
        boxes[:, : len(ODD_BOXES)] = ODD_BOXES
        boxes = np.ascontiguousarray(boxes[:, :num_boxes], dtype=np.float32)
        differences = check_case(library, device, params, dtype, boxes, rng)
        failed = max(differences) > TOLERANCES[dtype]
        failures += failed
        print(
            f"{dtype:8} {'max' if max_pool else 'avg':4} "
            f"{'channel_major' if channel_major else 'bin_major':13} {aligned:7} {samples:2} "
            f"{num_boxes:2} {differences[0]:9.1e} {differences[1]:9.1e} {differences[2]:8.1e}"
            f"{'  FAILED' if failed else ''}"
        )
    print(f"{failures} failures.")
    return 1 if failures else 0


def check_emulated(arguments):
    """Runs all cases on the CPU, in a process that has the sanitizer's runtime from the start."""
    preload = ":".join(emulate.runtime(arguments.sanitize))
    if preload and os.environ.get("LD_PRELOAD") != preload:
        environment = {**os.environ, **SANITIZER_OPTIONS, "LD_PRELOAD": preload}
        # ThreadSanitizer wants its addresses where the kernel's randomisation may not leave them.
        fixed = ["setarch", platform.machine(), "-R"] if arguments.sanitize == "thread" else []
        command = [*fixed, sys.executable, *sys.argv]
        return subprocess.run(command, env=environment, check=False).returncode
    os.environ["LHRCNN_EMULATION_SEED"] = str(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        library = arguments.library or emulate.build(
            arguments.source, folder, arguments.sanitize, arguments.max_blocks
        )
        few = arguments.few or arguments.sanitize != "none"
        return check_device(library, EmulatedDevice(), arguments.seed, few)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--compile_only", action="store_true", help="do not run on a GPU")
    parser.add_argument("--few", action="store_true", help="fewer cases, for slow sanitizers")
    parser.add_argument("--emulate", action="store_true", help="run on the CPU")
    parser.add_argument("--sanitize", choices=emulate.SANITIZERS, default="none")
    parser.add_argument("--max_blocks", type=int, help="most blocks of an emulated launch")
    parser.add_argument("--source", default=SOURCE, help="the .cu file to emulate")
    parser.add_argument("--library", help="an emulated .cu file that is compiled already")
    parser.add_argument("--seed", type=int, default=0, help="of values, boxes and schedules")
    arguments = parser.parse_args()
    if arguments.emulate:
        return check_emulated(arguments)
    with tempfile.TemporaryDirectory() as folder:
        library = compile_library(folder)
        if library is None:
            return 1
        if arguments.compile_only:
            return 0
        device = find_device()
        return 2 if device is None else check_device(library, device, few=arguments.few)


if __name__ == "__main__":
    sys.exit(main())
