"""Packaging, lock files, the Makefile and CI."""

import os
import pathlib
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser

import command_lines
import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = pathlib.Path(__file__).resolve().parents[1]
LOCK_OF = {
    "3.9": "requirements.lock",
    "3.10": "requirements.lock",
    "3.11": "requirements.lock",
    "3.12": "requirements-py312.lock",
    "3.13": "requirements-py312.lock",
}
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "__pycache__", "*.egg-info", "build", "dist", "datasets", ".pytest_cache"
)


def _left_out(folder, names):
    """What a copy of the checkout does without: what git ignores."""
    outputs = {"runs"} if pathlib.Path(folder) == ROOT else set()
    return LEFT_OUT(folder, names) | outputs


def environment(python, extra=""):
    return {
        **default_environment(),
        "python_version": python,
        "python_full_version": f"{python}.7",
        "extra": extra,
        "sys_platform": "linux",
        "platform_system": "Linux",
    }


def locked(python, lock=""):
    """{name: exact version} that a lock file, by default the Python's, installs on a Python."""
    lines = (ROOT / (lock or LOCK_OF[python])).read_text(encoding="utf-8").splitlines()
    versions = {}
    for requirement in (Requirement(line) for line in lines if line and not line.startswith("#")):
        exact = requirement.url is None and re.fullmatch(r"==[\w.]+", str(requirement.specifier))
        assert exact, f"{requirement}: an exact version is expected"
        if requirement.marker is None or requirement.marker.evaluate(environment(python)):
            assert canonicalize_name(requirement.name) not in versions, (
                f"{requirement.name} stands twice for Python {python}"
            )
            versions[canonicalize_name(requirement.name)] = Version(str(requirement.specifier)[2:])
    return versions


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel built from a source archive of a copy of this checkout."""
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(ROOT, folder / "checkout", ignore=_left_out)
    environ = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def run(*arguments, cwd):
        result = subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout

    run("setup.py", "--quiet", "sdist", "--dist-dir", str(folder), cwd=folder / "checkout")
    archive = next(folder.glob("*.tar.gz"))
    with tarfile.open(archive) as file:
        file.extractall(folder / "unpacked")  # our own archive
    source = next((folder / "unpacked").iterdir())
    run(
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
        str(source),
        cwd=folder,
    )
    return next(folder.glob("*.whl"))


def metadata(wheel):
    with zipfile.ZipFile(wheel) as file:
        name = next(name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(file.read(name).decode())


def test_wheel_holds_package_op_sources_configs_and_models(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        points = file.read(
            next(name for name in names if name.endswith("entry_points.txt"))
        ).decode()
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "lhrcnn").rglob("*.py")}
    sources = {
        f"lhrcnn/ops/csrc/{path.name}"
        for path in (ROOT / "custom_ops").rglob("*")
        if path.suffix in (".h", ".cc", ".cu")
    }
    page = {f"lhrcnn/evaluation/report/page.{kind}" for kind in ("css", "js")}
    configs = {f"lhrcnn/configs/{path.name}" for path in (ROOT / "configs").glob("*.yaml")}
    models = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "lhrcnn" / "zoo").glob("**/*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert (
        sources
        and configs
        and models
        and modules | sources | configs | models | page
        == {name for name in names if ".dist-info/" not in name}
    )
    assert "lhrcnn = lhrcnn.cli:main" in points


def test_installed_package_works_from_another_folder(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / "site")
    code = (
        "import pathlib, lhrcnn, lhrcnn.commands; from lhrcnn.ops.compiling import source_dir;"
        "config = lhrcnn.commands.find_config('light_head_xception_shapes');"
        "print(pathlib.Path(lhrcnn.__file__).parent, source_dir(), config.parent, sep='\\n')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    package = tmp_path / "site" / "lhrcnn"
    assert result.stdout.splitlines() == [
        str(package),
        str(package / "ops/csrc"),
        str(package / "configs"),
    ]


def test_supported_pythons(wheel):
    supported = SpecifierSet(metadata(wheel)["Requires-Python"])
    assert [minor for minor in range(6, 16) if f"3.{minor}.5" in supported] == [
        int(python.split(".")[1]) for python in LOCK_OF
    ]


@pytest.mark.parametrize(
    "python, lock, extra",
    [
        *((python, lock, "test") for python, lock in LOCK_OF.items()),
        ("3.10", "requirements-beam.lock", "beam"),
        ("3.11", "requirements-beam.lock", "beam"),
    ],
)
def test_lock_has_every_dependency_within_the_range_of_setup_py(wheel, python, lock, extra):
    versions = locked(python, lock)
    required = [Requirement(line) for line in metadata(wheel).get_all("Requires-Dist")]
    required = [
        r
        for r in required
        if not r.marker
        or any(r.marker.evaluate(environment(python, name)) for name in ("", "test", extra))
    ]
    assert {
        "tensorflow",
        "keras-cv",
        "numpy",
        "absl-py",
        "tensorboard",
        "pillow",
        "pycocotools",
        "faster-coco-eval",
        "pyyaml",
        "matplotlib",
        "pytest",
        "ruff",
    } <= {canonicalize_name(r.name) for r in required}
    for requirement in required:
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not in {lock}"
        assert version in requirement.specifier, (
            f"{lock} has {version}, setup.py asks for {requirement}"
        )


def test_stacks_are_the_two_intended():
    assert str(locked("3.11")["tensorflow"]) == "2.15.1" and "tensorflow-addons" in locked("3.9")
    assert str(locked("3.12")["tensorflow"]).startswith("2.21") and "tf-keras" in locked("3.13")
    assert "tensorflow-addons" not in locked("3.13")


@pytest.fixture
def make(tmp_path):
    """A function (arguments) -> completed `make` process, run beside copies of what it reads."""
    if not shutil.which("make"):
        pytest.skip("needs make")
    for name in ("Makefile", "setup.py", "pyproject.toml", *set(LOCK_OF.values())):
        shutil.copy(ROOT / name, tmp_path)

    def run(*arguments):
        environ = {
            name: value
            for name, value in os.environ.items()
            if name not in ("PYTHON", "MAKEFLAGS", "MAKELEVEL", "TESTS")
        }
        return subprocess.run(
            ["make", *arguments],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def fake_python(folder, version, has_ensurepip=True):
    """An executable that calls itself Python `version` and does nothing else."""
    path = folder / "fake_python"
    path.write_text(
        f'#!/bin/sh\ncase "$2" in *ensurepip*) exit {0 if has_ensurepip else 1};; '
        f"*) echo {version};; esac\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_make_alone_lists_the_targets(make):
    result = make()
    assert result.returncode == 0
    assert {"help", "venv", "style", "test", "demo", "peers", "benchmarks", "clean"} == set(
        re.findall(r"make (\w+)\t", result.stdout)
    )


@pytest.mark.parametrize("version", ["2.7", "3.8", "3.14"])
def test_make_refuses_other_pythons_in_one_line(make, tmp_path, version):
    result = make("test", f"PYTHON={fake_python(tmp_path, version)}")
    assert result.returncode != 0 and len(result.stderr.splitlines()) == 1
    assert (
        f"is Python {version}; lhrcnn runs on Python 3.9 to 3.13: "
        "name one, as in `make test PYTHON=python3.11`" in result.stderr
    )
    result = make("venv", "PYTHON=no_such_python")
    assert (
        result.returncode != 0
        and len(result.stderr.splitlines()) == 1
        and "no_such_python does not start" in result.stderr
    )
    assert not list(tmp_path.glob(".venv*"))


def test_make_says_what_to_install_where_python_has_no_ensurepip(make, tmp_path):
    result = make("venv", f"PYTHON={fake_python(tmp_path, '3.11', has_ensurepip=False)}")
    assert (
        result.returncode != 0
        and "cannot make virtual environments" in result.stderr
        and "apt install python3.11-venv" in result.stderr
    )
    assert not list(tmp_path.glob(".venv*"))


@pytest.mark.parametrize("python, lock", LOCK_OF.items())
def test_make_installs_the_lock_of_the_stack(make, tmp_path, python, lock):
    result = make("--dry-run", "venv", f"PYTHON={fake_python(tmp_path, python)}")
    assert result.returncode == 0, result.stderr
    assert f"-r {lock} " in result.stdout and f".venv-{python}/bin/python" in result.stdout
    assert lock != "requirements.lock" or "py312" not in result.stdout


def test_demo_calls_commands_that_exist(make, tmp_path):
    result = make("--dry-run", "demo", f"PYTHON={fake_python(tmp_path, '3.11')}")
    assert result.returncode == 0, result.stderr
    lines = [shlex.split(line.split("||")[0]) for line in result.stdout.splitlines()]
    called = [words for words in lines if words and re.match(r"\.venv.*/bin/lhrcnn$", words[0])]
    names = [words[1] for words in called if words[1] != "build-ops"]
    assert names == ["train", "eval", "export", "predict"]
    for words in called:
        command_lines.check(words)


def test_ci_checks_style_and_runs_the_readme_command():
    script = ROOT / ".ci" / "run"
    text = script.read_text()
    assert os.access(script, os.X_OK) and text.index("make style") < text.index("make test")
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def test_style_is_checked_by_one_version_everywhere():
    pinned = {str(locked(python)["ruff"]) for python in LOCK_OF}
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [f"ruff=={version}" for version in pinned] == hooks[0]["additional_dependencies"]
    assert len({tuple(hook["additional_dependencies"]) for hook in hooks}) == 1
