"""Files that appear whole or not at all, and folders that can be written to."""
import contextlib
import os
import pathlib
import tempfile
import uuid


@contextlib.contextmanager
def replacing(path, mode="wb"):
    """A file open for writing, in UTF-8 where it is text, that becomes `path` when the block ends.

    After an exception, or a kill, `path` is what it was before: absent, or the old file."""
    path = pathlib.Path(path)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with open(partial, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def check_writable(folder, option="--output"):
    """Makes a folder and finds out, before the work starts, whether files can be written there. Raises OSError naming the option."""
    try:
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f"{folder}: not a folder that can be written to: {error.strerror or error}; give another {option}") from error
