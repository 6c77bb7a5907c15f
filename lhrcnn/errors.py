"""The errors that lhrcnn explains to its user: what was found, where, what is allowed, and what to do."""


class LhrcnnError(Exception):
    """An error that its message explains; commands print that alone, where they print a traceback of any other."""


class ConfigError(LhrcnnError, ValueError):
    """A config file or override is wrong; the message says where, what was found and what is allowed."""


class DataError(LhrcnnError, ValueError):
    """A data set cannot be used as it is; the message names file, image id, what was found and what to do."""


class CheckpointError(LhrcnnError, ValueError):
    """A checkpoint cannot be written, found, read, or put into this model; the message says which and what to do."""


class TrainingError(LhrcnnError, RuntimeError):
    """Training cannot go on; the message says at which step, why, and what to do."""
