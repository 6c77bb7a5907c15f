"""Files that appear whole or not at all, folders that can be written to, and that one process at a time works in."""

import contextlib
import fcntl
import hashlib
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
        raise OSError(
            f"{folder}: not a folder that can be written to: {error.strerror or error}; give another {option}"
        ) from error


class Output:
    """A folder that a command writes into, where it never replaces a file that lhrcnn did not write.

    `.lhrcnn_files` in the folder lists what lhrcnn wrote there, in the format of `sha256sum`: a file that has changed since is
    no longer lhrcnn's. `overwrite` gives other files up as well, but never `inputs`, what the command reads."""

    def __init__(self, folder, option="--output", overwrite=False, inputs=()):
        """Makes the folder. Raises OSError naming the option where files cannot be written there."""
        self.folder, self.option, self.overwrite = pathlib.Path(folder), option, overwrite
        self.inputs = {os.path.realpath(path) for path in inputs}
        check_writable(folder, option)
        self._list = self.folder / ".lhrcnn_files"
        lines = self._list.read_text(encoding="utf-8").splitlines() if self._list.is_file() else []
        self._written = {line[66:]: line[:64] for line in lines}

    def check(self, *names):
        """Raises FileExistsError for the first of these paths below the folder that may not be written."""
        for name in names:
            path = self.folder / name
            if os.path.realpath(path) in self.inputs:
                raise FileExistsError(
                    f"{path}: this command reads it, and never writes over it; give another {self.option}"
                )
            if os.path.lexists(path) and not self.overwrite and not self.owns(name):
                raise FileExistsError(
                    f"{path}: exists, and lhrcnn did not write it or it has changed since; give another "
                    f"{self.option}, or move the file away"
                )

    def others(self):
        """Paths of the files anywhere below the folder that lhrcnn did not write, sorted."""
        found = (
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if not (path.is_dir() and any(path.iterdir()))
        )
        return sorted(name for name in found if name != self._list.name and not self.owns(name))

    @contextlib.contextmanager
    def writing(self, name, mode="wb"):
        """A file open for writing that becomes the path `name` below the folder, as `replacing` has it."""
        self.check(name)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, mode) as file:
            yield file
        self.record(name)

    def record(self, name):
        """Notes that lhrcnn wrote the path `name` below the folder."""
        self._written[name] = _digest(self.folder / name)
        with open(self._list, "a", encoding="utf-8") as file:
            file.write(f"{self._written[name]}  {name}\n")

    def write(self, name, text):
        """Writes a text file; returns its path."""
        with self.writing(name, "w") as file:
            file.write(text)
        return self.folder / name

    def owns(self, name):
        """Whether lhrcnn wrote the file `name` below the folder, and it is as it was left."""
        path = self.folder / name
        return (
            name in self._written
            and path.is_file()
            and not path.is_symlink()
            and _digest(path) == self._written[name]
        )


def _digest(path):
    with open(path, "rb") as file:
        return (
            hashlib.file_digest(file, "sha256").hexdigest()
            if hasattr(hashlib, "file_digest")
            else (hashlib.sha256(file.read()).hexdigest())
        )


@contextlib.contextmanager
def held(folder, option="--output"):
    """Keeps other processes from holding the folder, too, until the block or this process ends, in whatever way.

    Raises OSError naming the option while another one holds it. On a file system without locks nothing is kept from anyone."""
    with open(pathlib.Path(folder) / ".lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(
                f"{folder}: another process is writing there; wait for its end, or give another {option}"
            ) from error
        except OSError:
            pass
        yield
