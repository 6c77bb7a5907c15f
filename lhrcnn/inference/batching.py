"""Preparing items in threads beside the computation, which takes those of one kind together."""

import collections
import concurrent.futures
import contextlib
import itertools
import os

from lhrcnn.errors import LhrcnnError

AHEAD = 32  # items that are prepared, and may wait for others of their kind


def in_batches(items, prepare, run, batch_size, ahead=AHEAD, at_once=1):
    """Yields (item, its result) for the items of an iterable, in their order.

    prepare(item) -> (kind, prepared) is called in threads for up to `ahead` items before they are
    needed; run([prepared, ...]) -> their results, for up to `batch_size` items of one kind, in
    `at_once` threads. The result of an item that `prepare` raises an LhrcnnError for is that
    error."""
    results, groups, waiting = {}, {}, collections.deque()  # results: (future of a batch, row)

    def run_group(kind):
        numbers, prepared = zip(*groups.pop(kind))
        batch = runs.submit(run, list(prepared))
        results.update((number, (batch, row)) for row, number in enumerate(numbers))

    def is_there(number):
        return number in results and results[number][0].done()

    def finished(most):
        """Takes the first ones while they are there, and waits for those beyond `most`."""
        while waiting and (len(waiting) > most or is_there(waiting[0][0])):
            number, item = waiting.popleft()
            if number not in results:  # its kind is rare: it waits no longer
                run_group(next(k for k, group in groups.items() if group[0][0] == number))
            batch, row = results.pop(number)
            yield item, batch.result()[row]

    with _threads(min(os.cpu_count(), 8)) as pool, _threads(at_once) as runs:
        for number, (item, future) in enumerate(_ahead(pool, prepare, items, ahead)):
            waiting.append((number, item))
            try:
                kind, prepared = future.result()
            except LhrcnnError as error:
                results[number] = _finished([error]), 0
            else:
                groups.setdefault(kind, []).append((number, prepared))
                if len(groups[kind]) == batch_size:
                    run_group(kind)
            yield from finished(ahead - 1)
        for kind in list(groups):
            run_group(kind)
        yield from finished(0)


def _finished(result):
    future = concurrent.futures.Future()
    future.set_result(result)
    return future


@contextlib.contextmanager
def _threads(number):
    """An executor of that many threads; what waits when the block ends is dropped."""
    pool = concurrent.futures.ThreadPoolExecutor(number)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _ahead(pool, prepare, items, ahead):
    """(item, future of what `prepare` makes of it); `ahead` items are submitted in advance."""
    items, submitted = iter(items), collections.deque()
    while True:
        for item in itertools.islice(items, ahead - len(submitted)):
            submitted.append((item, pool.submit(prepare, item)))
        if not submitted:
            return
        yield submitted.popleft()
