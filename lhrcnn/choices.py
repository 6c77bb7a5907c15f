"""How an entry of a dict of choices is used: the dicts stand beside what they name."""

import importlib


def resolve(entry):
    """What an entry stands for: "module:name" is imported when it is needed, all else is itself.

    So a dict can name parts that need TensorFlow without importing it."""
    if not isinstance(entry, str):
        return entry
    module, _, name = entry.partition(":")
    return getattr(importlib.import_module(module), name)
