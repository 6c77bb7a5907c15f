"""Preparing items in threads beside the computation, which takes those of one kind together."""

import collections
import concurrent.futures
import itertools
import os

from lhrcnn.errors import LhrcnnError

AHEAD = 32  # items that are prepared, and may wait for others of their kind


def in_batches(items, prepare, run, batch_size, ahead=AHEAD):
    """Yields (item, its result) for the items of an iterable, in their order.

    prepare(item) -> (kind, prepared) is called in threads for up to `ahead` items before they are
    needed; run([prepared, ...]) -> their results, for up to `batch_size` items of one kind. The
    result of an item that `prepare` raises an LhrcnnError for is that error."""
    results, groups, waiting = {}, {}, collections.deque()

    def run_group(kind):
        numbers, prepared = zip(*groups.pop(kind))
        results.update(zip(numbers, run(list(prepared))))

    def ready():
        while waiting and waiting[0][0] in results:
            number, item = waiting.popleft()
            yield item, results.pop(number)

    with concurrent.futures.ThreadPoolExecutor(min(os.cpu_count(), 8)) as pool:
        for number, (item, future) in enumerate(_ahead(pool, prepare, items, ahead)):
            waiting.append((number, item))
            try:
                kind, prepared = future.result()
            except LhrcnnError as error:
                results[number] = error
            else:
                groups.setdefault(kind, []).append((number, prepared))
                if len(groups[kind]) == batch_size:
                    run_group(kind)
            yield from ready()
            if len(waiting) >= ahead:  # the first one's kind is rare: it waits no longer
                first = waiting[0][0]
                run_group(next(k for k, group in groups.items() if group[0][0] == first))
                yield from ready()
        for kind in list(groups):
            run_group(kind)
        yield from ready()


def _ahead(pool, prepare, items, ahead):
    """(item, future of what `prepare` makes of it); `ahead` items are submitted in advance."""
    items, submitted = iter(items), collections.deque()
    while True:
        for item in itertools.islice(items, ahead - len(submitted)):
            submitted.append((item, pool.submit(prepare, item)))
        if not submitted:
            return
        yield submitted.popleft()
