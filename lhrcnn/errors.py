"""The errors that lhrcnn explains to its user: what was found, where, what is allowed, what to do.

Commands print such an error as one message; any other keeps its traceback."""


class LhrcnnError(Exception):
    """The base of all errors whose message is meant for the user."""


class UsageError(LhrcnnError, ValueError):
    """A command or function was called in a wrong way; the message says how it is called."""


class ConfigError(LhrcnnError, ValueError):
    """A config file or override is wrong; the message says where, and what is allowed."""


class DataError(LhrcnnError, ValueError):
    """A data set, image or file of boxes cannot be used; the message names file and image id."""


class CheckpointError(LhrcnnError, ValueError):
    """Weights cannot be written, found, read or put into this model; the message says which."""


class RunError(LhrcnnError, FileNotFoundError):
    """A folder is no run directory, or lacks a file of one; the message says which, what to do."""


class OutputError(LhrcnnError, FileExistsError):
    """A file or folder is not to be written, or cannot be; the message says which, what to do."""


class TrainingError(LhrcnnError, RuntimeError):
    """Training cannot go on; the message says at which step, why, and what to do."""


class ExportError(LhrcnnError, ValueError):
    """A run cannot be exported as asked; the message says what this format takes."""


class DependencyError(LhrcnnError, ImportError):
    """A package that only this needs is not installed; the message names the extra to install."""


class DownloadError(LhrcnnError, OSError):
    """A file cannot be had from the web, or is not the one that was meant; names its URL."""
