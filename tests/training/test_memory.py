"""What is given back between fits, and how often."""

import gc
import weakref

import pytest

from lhrcnn.training import memory


class Cycle:
    """An object that only the collector frees."""

    def __init__(self):
        self.itself = self


@pytest.mark.parametrize("seconds, freed", [(memory._EVERY + 1, True), (1, False)])
def test_cycles_are_freed_once_a_minute(monkeypatch, seconds, freed):
    gc.disable()
    try:
        left = weakref.ref(Cycle())
        monkeypatch.setitem(memory._given, "at", memory.time.monotonic() - seconds)
        memory.give_back()
        assert (left() is None) == freed
    finally:
        gc.enable()
