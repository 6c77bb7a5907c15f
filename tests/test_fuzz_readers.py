"""What `benchmarks/fuzz_readers.py` begins with is read, or refused by lhrcnn's own errors."""

import contextlib
import pathlib
import sys

import pytest

from lhrcnn.errors import LhrcnnError

sys.path.append(str(pathlib.Path(__file__).parents[1] / "benchmarks"))
import fuzz_readers  # noqa: E402
import fuzz_seeds  # noqa: E402


@pytest.mark.parametrize(
    "target", [*fuzz_seeds.WEIGHTS, *fuzz_seeds.OTHERS, *fuzz_seeds.ANNOTATIONS, *fuzz_seeds.BESIDE]
)
def test_odd_numbers_types_and_deep_nesting_are_named(tmp_path, target):
    path, read = fuzz_readers.prepared(target, tmp_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    plain, *odd = fuzz_seeds.seeds(target)
    path.write_bytes(plain)
    assert read() is not None  # so that it is this reader that is tried
    for content in odd:
        path.write_bytes(content)
        with contextlib.suppress(LhrcnnError):
            read()
