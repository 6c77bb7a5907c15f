"""What `benchmarks/fuzz_readers.py` begins with is read, or refused by lhrcnn's own errors."""

import contextlib
import importlib.util
import pathlib

import pytest

from lhrcnn.errors import LhrcnnError

FILE = pathlib.Path(__file__).parents[1] / "benchmarks" / "fuzz_readers.py"
SPEC = importlib.util.spec_from_file_location("fuzz_readers", FILE)
fuzz_readers = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(fuzz_readers)


@pytest.mark.parametrize(
    "target", [*fuzz_readers.WEIGHTS, *fuzz_readers.OTHERS, *fuzz_readers.ANNOTATIONS]
)
def test_odd_numbers_and_deep_nesting_are_named(tmp_path, target):
    path, read = fuzz_readers.prepared(target, tmp_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    plain, *odd = fuzz_readers.seeds(target)
    path.write_bytes(plain)
    assert read() is not None  # so that it is this reader that is tried
    for content in odd:
        path.write_bytes(content)
        with contextlib.suppress(LhrcnnError):
            read()
