"""Builds the compiled RoI ops on this machine; `python -m lhrcnn.ops.compiling` does it now.

The C++ interface of TensorFlow changes from release to release, so the library is
built here, for the installed TensorFlow, and kept in a cache. Its file name and a
stamp inside the file name what it was built from and for; a library whose stamp
differs is never loaded, but built again.

Environment: LHRCNN_CACHE (cache folder), LHRCNN_CUDA (0 or 1: without or with CUDA
kernels whatever is found), LHRCNN_NO_CUSTOM_OP=1 (use no compiled op), CXX.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import tensorflow as tf
from absl import logging

from lhrcnn.errors import LhrcnnError
from lhrcnn.files import cache_dir, fcntl

# Contraction would round a product and its sum once on some processors and twice
# on others; without it the same boxes give the same bits everywhere.
_CXX_FLAGS = ("-O3", "-fPIC", "-ffp-contract=off")
_NVCC_FLAGS = ("-O3", "-std=c++17", "-Xcompiler", "-fPIC")
_STAMP = re.compile(rb"<lhrcnn-op ([^<>]*)>")


class OpBuildError(LhrcnnError, RuntimeError):
    """The op cannot be built here; the message says what to install or set."""


@dataclasses.dataclass(frozen=True)
class BuildPlan:
    """What would be built: `nvcc` is None for CPU kernels alone."""

    sources: Path
    nvcc: str | None
    architectures: list[str]
    stamp: str
    path: Path


def custom_op_disabled() -> bool:
    """Whether LHRCNN_NO_CUSTOM_OP asks for pure TensorFlow."""
    return os.environ.get("LHRCNN_NO_CUSTOM_OP", "0") not in ("", "0")


def source_dir() -> Path:
    """The folder with the C++ and CUDA sources of all ops, in an installed package or a
    checkout."""
    here = Path(__file__).resolve().parent
    folders = [here / "csrc", here.parents[1] / "custom_ops"]
    for folder in folders:
        if _sources(folder, ".cc"):
            return folder
    raise OpBuildError(
        f"The sources of the compiled ops are missing: looked for *.cc in {folders[0]} and "
        f"{folders[1]}. Reinstall lhrcnn, or run from a full checkout."
    )


def read_stamp(library: Path) -> str | None:
    """What a library says it was built for, read without loading it; None if nothing."""
    try:
        found = _STAMP.search(Path(library).read_bytes())
    except OSError:
        return None
    return found.group(1).decode() if found else None


def plan_build() -> BuildPlan:
    """Which library this machine needs, and where it belongs.

    Raises:
      OpBuildError: the sources are missing, or LHRCNN_CUDA asks for what is not there.
    """
    sources = source_dir()
    nvcc = _find_nvcc()
    architectures = _architectures() if nvcc else []
    digest = hashlib.sha256()
    for source in _sources(sources, ".h", ".cc", ".cu"):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    # Include and library folders say where TensorFlow lies, not what it is.
    flags = [
        f
        for f in tf.sysconfig.get_compile_flags() + tf.sysconfig.get_link_flags()
        if not f.startswith(("-I", "-L"))
    ] + _processor_flags()
    digest.update(repr((flags, tf.version.GIT_VERSION, _CXX_FLAGS, _NVCC_FLAGS)).encode())
    kernels = "+".join(["cpu"] + architectures)
    stamp = (
        f"tensorflow={tf.__version__} machine={platform.machine()} kernels={kernels} "
        f"sources={digest.hexdigest()[:16]}"
    )
    name = f"roi_ops-{hashlib.sha256(stamp.encode()).hexdigest()[:16]}.so"
    return BuildPlan(sources, nvcc, architectures, stamp, cache_dir() / name)


def build_op(force: bool = False, verbose: bool = False) -> Path:
    """Builds the op unless the cache has it; safe when many processes do so at once.

    Args:
      force: build even if the cache has it.
      verbose: print the compiler's command lines.

    Returns:
      The library's path: built from today's sources for the running TensorFlow.

    Raises:
      OpBuildError: there is no compiler, it failed, or the cache cannot be written.
    """
    plan = plan_build()
    if not force and read_stamp(plan.path) == plan.stamp:
        return plan.path
    try:
        plan.path.parent.mkdir(parents=True, exist_ok=True)
        with open(plan.path.parent / "build.lock", "w") as lock:
            if fcntl:  # else two processes may build at once
                fcntl.flock(lock, fcntl.LOCK_EX)
            if force or read_stamp(plan.path) != plan.stamp:
                _build(plan, verbose)
    except OSError as error:
        raise OpBuildError(
            f"The cache folder {plan.path.parent} cannot be used ({error}). Set LHRCNN_CACHE "
            "to a folder that can be written."
        ) from error
    return plan.path


def _sources(folder: Path, *endings: str) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.name.endswith(endings))


def _processor_flags() -> list[str]:
    """Instructions of this processor that the compiler does not use unasked: 8 numbers at once, and
    conversion of halves."""
    try:
        known = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return []
    return [f"-m{name}" for name in ("avx2", "f16c") if name in known]


def _find_nvcc() -> str | None:
    wanted = os.environ.get("LHRCNN_CUDA", "")
    if wanted not in ("", "0", "1"):
        raise OpBuildError(f"LHRCNN_CUDA is {wanted!r}; set it to 0 or 1, or not at all.")
    if wanted == "0" or not (wanted or tf.test.is_built_with_cuda()):
        return None
    home = os.environ.get("CUDA_HOME")
    nvcc = shutil.which("nvcc", path=str(Path(home, "bin")) if home else None)
    if not nvcc and wanted:
        raise OpBuildError(
            "LHRCNN_CUDA=1 asks for CUDA kernels, but nvcc was not found in "
            f"{'$CUDA_HOME/bin' if home else 'PATH'}. Install the CUDA toolkit, or set CUDA_HOME."
        )
    return nvcc


def _architectures() -> list[str]:
    """The compute capabilities of the GPUs here; where none is seen, code that any GPU
    from 7.5 on translates when it first loads it."""
    capabilities = set()
    for gpu in tf.config.list_physical_devices("GPU"):
        capability = tf.config.experimental.get_device_details(gpu).get("compute_capability")
        if capability:
            capabilities.add("sm_{}{}".format(*capability))
    return sorted(capabilities) or ["compute_75"]


def _find_compiler() -> str:
    candidates = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "c++", "clang++"]
    for candidate in candidates:
        path = shutil.which(candidate)
        if path:
            return path
    raise OpBuildError(
        f"No C++ compiler was found (looked for {', '.join(candidates)} in PATH). Install g++ 9 "
        "or newer (Debian, Ubuntu: apt install g++), or point CXX at one."
    )


def _build(plan: BuildPlan, verbose: bool) -> None:
    compiler = _find_compiler()
    logging.info("Building the RoI ops for %s; this happens once.", plan.stamp)
    # In the cache's own file system, so that the last step is one atomic rename.
    with tempfile.TemporaryDirectory(dir=plan.path.parent) as folder:
        linker = [compiler]
        compile_cc = [
            compiler,
            *_CXX_FLAGS,
            *_processor_flags(),
            *tf.sysconfig.get_compile_flags(),
            f'-DLHRCNN_BUILD_STAMP="<lhrcnn-op {plan.stamp}>"',
        ]
        commands = dict.fromkeys(_sources(plan.sources, ".cc"), compile_cc)
        if plan.nvcc:
            linker = [plan.nvcc, "-ccbin", compiler]  # nvcc knows where its runtime lies
            compile_cc.append("-DGOOGLE_CUDA=1")
            targets = [
                f"-gencode=arch={a.replace('sm_', 'compute_')},code={a}" for a in plan.architectures
            ]
            compile_cu = [*linker, *_NVCC_FLAGS, *targets]
            commands.update((source, compile_cu) for source in _sources(plan.sources, ".cu"))
        objects = [os.path.join(folder, source.name + ".o") for source in commands]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            calls = [
                [*command, "-c", str(source), "-o", built]
                for (source, command), built in zip(commands.items(), objects)
            ]
            list(pool.map(lambda call: _run(call, verbose), calls))
        built = os.path.join(folder, "built.so")
        _run([*linker, "-shared", *objects, *tf.sysconfig.get_link_flags(), "-o", built], verbose)
        os.replace(built, plan.path)


def _run(command: list[str], verbose: bool) -> None:
    if verbose:
        print(shlex.join(command), flush=True)
    result = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode == 0:
        return
    lines = result.stdout.splitlines()
    errors = [line for line in lines if "error" in line.lower() or "fatal" in line.lower()]
    hint = " Set LHRCNN_CUDA=0 to build the CPU kernels alone." if "nvcc" in command[0] else ""
    raise OpBuildError(
        f"{os.path.basename(command[0])} failed with status {result.returncode}: "
        f"{' | '.join((errors or lines)[:5])}.{hint} `python -m lhrcnn.ops.compiling` shows the "
        "command line."
    )


if __name__ == "__main__":
    print(build_op(force="--force" in sys.argv[1:], verbose=True))
