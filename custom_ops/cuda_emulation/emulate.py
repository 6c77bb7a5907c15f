"""Builds a .cu file for the CPU: cuda_emulation.h stands in for CUDA, g++ for nvcc."""

import re
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEADERS = ("cuda_runtime.h", "cuda_fp16.h", "cuda_bf16.h")
SANITIZERS = {"none": [], "address": ["address", "undefined"], "thread": ["thread"]}
# kernel<types><<<grid, block, shared bytes, stream>>>(arguments);
ARGUMENTS = r"\(((?:[^()]|\([^()]*(?:\([^()]*\)[^()]*)*\))*)\);"
LAUNCH = re.compile(r"(\w+(?:<[\w, ]+>)?)<<<((?:[^<>]|<(?!<)|>(?!>))*)>>>" + ARGUMENTS)
SHARED = re.compile(r"extern __shared__ (?:__align__\(\d+\) )?unsigned char (\w+)\[\];")


def translate(source):
    """C++ of CUDA text: launches and dynamic shared memory become calls of cuda_emulation.h."""
    source, launches = LAUNCH.subn(_launch, source)
    source, shared = SHARED.subn(r"unsigned char* \1 = cuda_emulation::Shared();", source)
    if not launches or not shared or "<<<" in source or "__shared__" in source:
        raise ValueError(f"{launches} launches and {shared} arrays understood, not all there are")
    return source


def build(source, folder, sanitizer="none", max_blocks=None):
    """The shared library of a .cu file in `folder`; a RuntimeError has the compiler's words."""
    folder = Path(folder)
    for header in HEADERS:
        (folder / header).write_text('#include "cuda_emulation.h"\n', encoding="utf-8")
    translated, library = folder / f"{Path(source).stem}.cc", folder / f"emulated_{sanitizer}.so"
    translated.write_text(translate(Path(source).read_text(encoding="utf-8")), encoding="utf-8")
    checks = [f"-fsanitize={','.join(SANITIZERS[sanitizer])}"] if sanitizer != "none" else []
    if sanitizer == "address":
        checks.append("-fno-sanitize-recover=all")
    command = ["g++", "-std=c++17", "-O1", "-g", "-shared", "-fPIC", *checks]
    command += ["-Wall", "-Wno-unknown-pragmas", "-DLHRCNN_HOST_CHECK"]
    command += [f"-DLHRCNN_MAX_BLOCKS={max_blocks}"] if max_blocks else []
    command += [f"-I{folder}", f"-I{HERE}", f"-I{HERE.parent / 'psroi_align'}"]
    command += [str(translated), "-o", str(library)]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    return library


def runtime(sanitizer):
    """Paths of the sanitizer's libraries, to be preloaded into a process that loads the result."""
    names = {"none": [], "address": ["libasan.so", "libubsan.so"], "thread": ["libtsan.so"]}
    found = [_library(name) for name in names[sanitizer]]
    return [*found, _library("libstdc++.so.6")] if found else []


def _library(name):
    command = ["g++", f"-print-file-name={name}"]
    return subprocess.run(command, text=True, capture_output=True, check=True).stdout.strip()


def _launch(match):
    kernel, configuration, arguments = match.groups()
    grid, block, shared, _ = _split(configuration)
    body = f"[&] {{ {kernel}({arguments}); }}"
    return f"cuda_emulation::Launch(dim3({grid}), dim3({block}), {shared}, {body});"


def _split(text):
    """Arguments separated by the commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += letter in "([{"
        depth -= letter in ")]}"
        if letter == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]
