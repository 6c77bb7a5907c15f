"""Fixtures of the ops' tests."""
import pytest

from lhrcnn.ops.psroi_align import custom_op_available, custom_op_status


@pytest.fixture(params=["custom", "tf"])
def implementation(request):
    """Each implementation that can be had here."""
    if request.param == "custom" and not custom_op_available():
        pytest.skip(custom_op_status())
    return request.param
