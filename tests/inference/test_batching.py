"""Batches of items of one kind, in the order they came."""

import threading
import time

import pytest

from lhrcnn.errors import DataError
from lhrcnn.inference.batching import in_batches


def prepare(item):
    if item < 0:
        raise DataError(f"no {item}")
    time.sleep(0.001 * (item % 3))  # they are ready in another order
    return item % 10, item * 10


@pytest.mark.parametrize("count", [0, 1, 5, 97])
@pytest.mark.parametrize("size, ahead", [(1, 1), (4, 4), (4, 9), (4, 200)])
def test_results_come_in_order_and_batches_are_of_one_kind(count, size, ahead):
    items, batches = [(7 * k * k) % 31 for k in range(count)], []

    def run(prepared):
        batches.append(prepared)
        return [value + 1 for value in prepared]

    found = list(in_batches(iter(items), prepare, run, size, ahead))
    assert found == [(item, item * 10 + 1) for item in items]
    for batch in batches:
        assert 1 <= len(batch) <= size and len({value // 10 % 10 for value in batch}) == 1
    if ahead >= count and count:
        kinds = [item % 10 for item in items]
        assert len(batches) == sum(-(-kinds.count(kind) // size) for kind in set(kinds))


def test_an_error_takes_the_place_of_its_result_alone():
    found = list(in_batches([1, -2, 11, -3], prepare, lambda values: values, 2))
    assert [item for item, _ in found] == [1, -2, 11, -3]
    assert [str(result) for _, result in found] == ["10", "no -2", "110", "no -3"]


def test_no_more_items_are_taken_than_wait():
    taken, lock = [], threading.Lock()

    def items():
        for item in range(50):
            with lock:
                taken.append(item)
            yield item

    for number, _ in enumerate(in_batches(items(), prepare, lambda values: values, 4, ahead=6)):
        assert len(taken) <= number + 2 * 6 + 1


def test_a_slip_in_preparation_is_no_result():
    with pytest.raises(ZeroDivisionError):
        list(in_batches([0], lambda item: 1 // item, lambda values: values, 2))


def test_batches_run_at_once_and_results_stay_in_order():
    together = threading.Barrier(2, timeout=20)

    def run(prepared):
        together.wait()  # each batch waits for another one
        return prepared

    found = list(in_batches(range(1, 13), lambda item: (0, item), run, 3, at_once=2))
    assert found == [(item, item) for item in range(1, 13)]
