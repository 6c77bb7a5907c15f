"""The CUDA kernels, run on the CPU under sanitizers; and faults put in on purpose are caught."""

import ctypes
import functools
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
KERNELS = ROOT / "custom_ops" / "psroi_align"
sys.path.append(str(ROOT / "custom_ops" / "cuda_emulation"))
import emulate  # noqa: E402

RACE = "data race"
OVERFLOW = "heap-buffer-overflow"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("g++"), reason="needs g++ and its sanitizers"),
]


def emulated(*arguments):
    """The completed process of check_launcher.py --emulate."""
    command = [sys.executable, KERNELS / "check_launcher.py", "--emulate", *arguments]
    return subprocess.run(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.parametrize(
    "arguments",
    [
        "--few",
        "--max_blocks 7 --seed 1",
        "--sanitize address --max_blocks 5 --seed 2",
        "--sanitize thread --max_blocks 5 --seed 3",
    ],
)
def test_kernels_agree_with_the_host(arguments):
    done = emulated(*arguments.split())
    lines = [line for line in done.stdout.splitlines() if line.startswith(("float", "bfloat"))]
    assert done.returncode == 0 and done.stdout.endswith("\n0 failures.\n"), done.stdout[-3000:]
    assert len(lines) == (16 if "few" in arguments or "sanitize" in arguments else 192)
    assert {line.split()[0] for line in lines} == {"float32", "float64", "float16", "bfloat16"}


# {fault: (sanitizer, its report, right text, text in which CHOSEN is whether it has the fault)}
FAULTS = {
    "no barrier before the taps": (
        "thread",
        RACE,
        "  __syncthreads();  // the taps of the previous box",
        "  if (!CHOSEN) __syncthreads();  // the taps",
    ),
    "no barrier behind the taps": (
        "thread",
        RACE,
        "  }\n  __syncthreads();\n}",
        "  }\n  if (!CHOSEN) __syncthreads();\n}",
    ),
    "sums that are not atomic": (
        "thread",
        RACE,
        "atomicAdd(address, value);",
        "if (CHOSEN) PlainAdd()(address, value); else atomicAdd(address, value);",
    ),
    "a deterministic sum by several blocks": (
        "thread",
        RACE,
        "deterministic ? p.num_boxes : 1",
        "deterministic && !CHOSEN ? p.num_boxes : 1",
    ),
    "one element too many": (
        "address",
        OVERFLOW,
        "element < strides.pixel; element +=",
        "element < strides.pixel + CHOSEN; element +=",
    ),
    "shared memory too small": (
        "address",
        OVERFLOW,
        "+ 2 * p.group_size * sizeof(int32_t);",
        "+ 2 * p.group_size * 4 - 4 * CHOSEN;",
    ),
    "one task too many": (
        "address",
        OVERFLOW,
        "task < 2 * p.group_size;",
        "task < 2 * p.group_size + CHOSEN;",
    ),
}


def with_faults(folder, *faults):
    """The path of a source with (right text, wrong text), of float32 alone: the dtype that is
    checked first, and the others take most of the time to compile."""
    text = (KERNELS / "psroi_align.cu").read_text()
    text, removed = re.subn(r"\n    case LHRCNN_(FLOAT64|FLOAT16|BFLOAT16): .*", "", text)
    assert removed == 6
    for old, new in faults:
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = folder / "psroi_align.cu"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def library_with(tmp_path_factory):
    """A function (sanitizer) -> the library with all of its faults, of which $FAULT chooses."""

    @functools.cache
    def build(sanitizer):
        first = "#include <algorithm>\n"
        faults = [(first, f'{first}const int kFault = atoi(getenv("FAULT"));\n')]
        for number, (own, _, old, new) in enumerate(FAULTS.values()):
            if own == sanitizer:
                faults.append((old, new.replace("CHOSEN", f"(kFault == {number})")))
        folder = tmp_path_factory.mktemp(sanitizer)
        return emulate.build(with_faults(folder, *faults), folder, sanitizer, max_blocks=5)

    return build


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_caught(library_with, monkeypatch, fault):
    sanitizer, report, *_ = FAULTS[fault]
    monkeypatch.setenv("FAULT", str(list(FAULTS).index(fault)))
    done = emulated("--sanitize", sanitizer, "--library", library_with(sanitizer))
    assert done.returncode == 66 and report in done.stdout, done.stdout[-3000:]


@pytest.mark.parametrize(("sanitizer", "report"), [("thread", RACE), ("address", OVERFLOW)])
def test_without_a_fault_only_what_is_not_compiled_is_missing(
    library_with, monkeypatch, sanitizer, report
):
    monkeypatch.setenv("FAULT", "-1")
    done = emulated("--sanitize", sanitizer, "--library", library_with(sanitizer))
    assert done.returncode == 1 and report not in done.stdout, done.stdout[-3000:]
    assert done.stdout.count("\nfloat32 ") == 4 and "RuntimeError: LhrcnnPs" in done.stdout


def test_a_barrier_that_some_threads_skip_is_named(tmp_path):
    old = "if (poolable) FillSharedTaps"
    source = with_faults(tmp_path, (old, "if (poolable && threadIdx.x > 3) FillSharedTaps"))
    done = emulated("--source", source)
    assert done.returncode and "others wait in __syncthreads()" in done.stdout


def test_sixteen_bit_numbers_round_as_numpy_and_ml_dtypes_do(tmp_path):
    import ml_dtypes

    (tmp_path / "narrow.cc").write_text(
        '#include "cuda_emulation.h"\n'
        'extern "C" void Round(const float* in, float* half, float* bfloat, int n) {\n'
        "  for (int i = 0; i < n; ++i) {\n"
        "    half[i] = __half(in[i]);\n    bfloat[i] = __nv_bfloat16(in[i]);\n  }\n"
        "}\n"
    )
    library = tmp_path / "narrow.so"
    subprocess.run(
        [
            "g++",
            "-std=c++17",
            "-shared",
            "-fPIC",
            f"-I{ROOT / 'custom_ops/cuda_emulation'}",
            str(tmp_path / "narrow.cc"),
            "-o",
            str(library),
        ],
        check=True,
    )
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 200_000, dtype=np.uint64).astype(np.uint32)
    edges = [0.0, -0.0, 65504.0, 65519.9, 65520.0, np.inf, -np.inf, 2.0**-24, 2.0**-25, 1e-40]
    values = bits.view(np.float32)
    values = np.concatenate([values[~np.isnan(values)], edges, rng.normal(size=1000)])
    values = np.ascontiguousarray(values, np.float32)
    half, bfloat = np.empty_like(values), np.empty_like(values)
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (values, half, bfloat)]
    ctypes.CDLL(str(library)).Round(*pointers, len(values))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(half, values.astype(np.float16).astype(np.float32))
        wanted = values.astype(ml_dtypes.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(bfloat, wanted)
