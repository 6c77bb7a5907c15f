"""Images that stand more than once in a data set, told by the contents of their files."""

import collections
import os

from lhrcnn.files import sha256_of


def same_images(datasets):
    """Lists of [(split, path)] of images that are one, of {split: Dataset}; unreadable ones are
    passed over.

    Only files of one length are read. A file that several splits name is the same image too."""
    by_size = collections.defaultdict(list)
    for split, dataset in datasets.items():
        for record in dataset.records:
            try:
                by_size[os.path.getsize(record.path)].append((split, record.path))
            except OSError:
                continue
    for entries in by_size.values():
        if len(entries) > 1:
            yield from (group for group in _by_content(entries).values() if len(group) > 1)


def _by_content(entries):
    groups, digests = collections.defaultdict(list), {}
    for split, path in entries:
        path_on_disk = os.path.realpath(path)
        if path_on_disk not in digests:
            try:
                digests[path_on_disk] = sha256_of(path)
            except OSError:
                continue
        groups[digests[path_on_disk]].append((split, path))
    return groups
