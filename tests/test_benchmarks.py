"""Benchmarks that have what they time made by hand still call it as it is called."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parents[1] / "benchmarks"))
import matching  # noqa: E402  a script, beside whose modules it is run


def test_matching_is_timed():
    seconds, megabytes = matching.matching(anchors=500, number=3)
    assert 0 < seconds < 60 and megabytes > 50
