"""How a dict of choices is used: the dicts stand beside what they name."""

import difflib
import importlib


def resolve(entry):
    """What an entry stands for: "module:name" is imported when it is needed, all else is itself.

    So a dict can name parts that need TensorFlow without importing it."""
    if not isinstance(entry, str):
        return entry
    module, _, name = entry.partition(":")
    return getattr(importlib.import_module(module), name)


def did_you_mean(word, names):
    """A question about the one of `names` that is close to a word; "" where none is."""
    close = difflib.get_close_matches(word, names, n=1)
    return f"did you mean '{close[0]}'?" if close else ""
