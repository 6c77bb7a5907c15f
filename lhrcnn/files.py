"""Files that appear whole or not at all, folders that can be written to, and that one process at a time works in."""
import contextlib
import fcntl
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


@contextlib.contextmanager
def held(folder, option="--output"):
    """Keeps other processes from holding the folder, too, until the block or this process ends, in whatever way.

    Raises OSError naming the option while another one holds it. On a file system without locks nothing is kept from anyone."""
    with open(pathlib.Path(folder) / ".lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(f"{folder}: another process is writing there; wait for its end, or give another {option}") from error
        except OSError:
            pass
        yield
