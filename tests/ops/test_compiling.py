"""Building, caching and refusing the compiled op."""

import os
import shutil
import stat
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tensorflow as tf

from lhrcnn.ops import compiling

ROOT = Path(__file__).resolve().parents[2]
STEPS = len(list((ROOT / "custom_ops").rglob("*.cc"))) + 1  # one compilation each, one link
POOL_ONCE = """
    import warnings
    import lhrcnn
    import tensorflow as tf
    from lhrcnn.ops.psroi_align import custom_op_status, ps_roi_align
    pool = lambda **more: ps_roi_align(
        tf.ones([1, 4, 4, 8]), tf.constant([[[0., 0., 3., 3.]]]), group_size=2, spatial_scale=1.,
        **more)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert (pool().numpy() == 1).all() and (pool().numpy() == 1).all()
    caught = [str(w.message) for w in caught if "compiled ones" in str(w.message)]
    print(len(caught), *caught)
    print(custom_op_status())
    try:
        pool(implementation="custom")
    except RuntimeError as error:
        print(error)
"""


@pytest.fixture
def fake_compiler(tmp_path, monkeypatch):
    """A compiler that counts its calls and writes its last stamp; no CUDA."""
    calls = tmp_path / "calls"
    script = tmp_path / "fake-g++"
    script.write_text(
        textwrap.dedent(f"""\
        #!/bin/sh
        echo "$@" >> {calls}
        sleep 0.05
        for word; do
          case "$word" in -DLHRCNN_BUILD_STAMP=*) stamp="$word";; esac
          [ "$previous" = -o ] && output="$word"
          previous="$word"
        done
        if [ -n "$stamp" ]; then echo "$stamp" > "$output"; else cat "$2" > "$output"; fi
        """)
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CXX", str(script))
    monkeypatch.setenv("LHRCNN_CUDA", "0")
    monkeypatch.setenv("LHRCNN_CACHE", str(tmp_path / "cache"))
    return lambda: len(calls.read_text().splitlines()) if calls.exists() else 0


def pool_in_new_process(tmp_path, **environment):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "LHRCNN_CACHE": str(tmp_path / "cache"),
        "LHRCNN_CUDA": "0",
        **environment,
    }
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(POOL_ONCE)],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
        env=environment,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def test_builds_once_and_leaves_one_library(fake_compiler, tmp_path):
    with ThreadPoolExecutor(4) as pool:  # separate lock handles, like separate processes
        paths = set(pool.map(lambda _: compiling.build_op(), range(4)))
    assert fake_compiler() == STEPS
    (path,) = paths
    assert compiling.read_stamp(path) == compiling.plan_build().stamp
    assert sorted(os.listdir(tmp_path / "cache")) == ["build.lock", path.name]
    compiling.build_op(force=True)
    assert fake_compiler() == 2 * STEPS


def test_a_library_for_another_tensorflow_is_built_again(fake_compiler, monkeypatch):
    path = compiling.build_op()
    stamp = compiling.read_stamp(path)
    assert tf.__version__ in stamp
    for foreign in (f"<lhrcnn-op {stamp.replace(tf.__version__, '2.0.0')}>", "", "no stamp"):
        path.write_text(foreign)
        before = fake_compiler()
        assert compiling.build_op() == path
        assert compiling.read_stamp(path) == stamp and fake_compiler() == before + STEPS
    monkeypatch.setattr(tf, "__version__", "2.99.0")
    assert compiling.plan_build().path != path


def test_changed_sources_are_built_again(fake_compiler, monkeypatch, tmp_path):
    path = compiling.build_op()
    copy = tmp_path / "sources"
    shutil.copytree(compiling.source_dir(), copy)
    monkeypatch.setattr(compiling, "source_dir", lambda: copy)
    assert compiling.plan_build().path == path
    with open(copy / "psroi_align" / "psroi_align.h", "a") as header:
        header.write("// changed\n")
    assert compiling.plan_build().path != path


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("LHRCNN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiling.cache_dir() == tmp_path / "lhrcnn"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert compiling.cache_dir() == Path.home() / ".cache" / "lhrcnn"
    monkeypatch.setenv("LHRCNN_CACHE", str(tmp_path / "mine"))
    assert compiling.cache_dir() == tmp_path / "mine"


def test_a_cache_that_cannot_be_written(fake_compiler, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LHRCNN_CACHE", str(tmp_path / "file"))
    with pytest.raises(compiling.OpBuildError, match="Set LHRCNN_CACHE"):
        compiling.build_op()
    assert fake_compiler() == 0


def test_a_failing_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("LHRCNN_CACHE", str(tmp_path))
    monkeypatch.setenv("LHRCNN_CUDA", "0")
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(compiling.OpBuildError, match="false failed with status 1"):
        compiling.build_op()
    assert os.listdir(tmp_path) == ["build.lock"]


def test_cuda_is_asked_for_and_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    monkeypatch.setenv("LHRCNN_CUDA", "1")
    with pytest.raises(compiling.OpBuildError, match="Install the CUDA toolkit"):
        compiling.plan_build()
    monkeypatch.setenv("LHRCNN_CUDA", "yes")
    with pytest.raises(compiling.OpBuildError, match="set it to 0 or 1"):
        compiling.plan_build()


def test_without_a_compiler_one_warning_and_the_twin(tmp_path):
    output = pool_in_new_process(tmp_path, PATH=str(tmp_path), CXX="")
    warning, status, error = output.splitlines()
    assert warning.startswith("1 No C++ compiler was found") and "apt install g++" in warning
    assert status.startswith("No C++ compiler was found")
    assert error.startswith("The compiled PS-RoIAlign op is not available: No C++ compiler")


def test_disabled_without_a_warning(tmp_path):
    output = pool_in_new_process(tmp_path, LHRCNN_NO_CUSTOM_OP="1")
    assert output.startswith("0\nDisabled by LHRCNN_NO_CUSTOM_OP.\n")
    assert not (tmp_path / "cache").exists()


def test_a_library_that_does_not_load_gives_way_to_the_twin(fake_compiler, tmp_path):
    warning, status, _ = pool_in_new_process(tmp_path).splitlines()
    assert fake_compiler() == STEPS
    assert warning.startswith("1 ") and "Stock TensorFlow ops take" in warning
    assert "roi_ops-" in status


@pytest.mark.skipif(not shutil.which("nvcc"), reason="needs nvcc (the CUDA toolkit)")
def test_cuda_kernels_compile_without_spills():
    script = ROOT / "custom_ops" / "psroi_align" / "check_launcher.py"
    result = subprocess.run(
        [sys.executable, str(script), "--compile_only"], text=True, capture_output=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 spills" in result.stdout
