"""The run directory that the tests of prediction use serves here too."""

from inference.conftest import run_dir  # noqa: F401
