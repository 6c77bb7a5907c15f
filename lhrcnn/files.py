"""Files that appear whole or not at all, and folders in which nobody else's files are replaced."""

import contextlib
import os
import pathlib
import tempfile

from lhrcnn.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows: two processes are not kept from working in one folder
    fcntl = None

LIST = ".lhrcnn_files"  # of what lhrcnn wrote into a folder, in the format of `sha256sum`
_DRAWN = (".jpg", ".png", ".mp4", ".json", ".csv")


@contextlib.contextmanager
def replacing(path, mode="wb"):
    """A file open for writing, in UTF-8 where it is text, that becomes `path` when the block ends;
    what UTF-8 has not, as names of files may have, is escaped as in JSON.

    After an exception, or a kill, `path` is what it was before: absent, or the old file."""
    path = pathlib.Path(path)
    partial = path.with_name(f"{path.name[:40]}.{os.urandom(16).hex()}.partial")
    try:
        text = {} if "b" in mode else {"encoding": "utf-8", "errors": "backslashreplace"}
        with open(partial, mode, **text) as file:
            yield file
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def save_npz(file, **arrays):
    """Writes arrays to an open file as `numpy.savez` does. NumPy 1's leaves the archive open where
    the disk is full, of which Python then prints a traceback."""
    import zipfile  # these take longer than all else that `lhrcnn --help` imports

    import numpy as np

    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)


def cache_dir():
    """The folder of what can be made again, such as compiled ops: $LHRCNN_CACHE, or the user's."""
    if os.environ.get("LHRCNN_CACHE"):
        return pathlib.Path(os.environ["LHRCNN_CACHE"])
    return pathlib.Path(
        os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "lhrcnn"
    )


def check_writable(folder, option="--output"):
    """Makes a folder and finds out, before the work starts, whether files can be written there.

    Raises OutputError naming the option."""
    try:
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"{folder}: not a folder that can be written to: {error.strerror or error}; give "
            f"another {option}"
        ) from error


def split_name(split):
    """What files about a split are called, without a suffix: VOC2007_test for VOC2007/test.

    The folders of an annotation file belong to it: exported data sets call all of them the same."""
    return (split[: -len(".json")] if split.endswith(".json") else split).replace("/", "_")


def wrote(folder, name):
    """Whether lhrcnn wrote the file `name` below a folder, and it is as it was left."""
    return _as_listed(pathlib.Path(folder), name, _listed(folder))


def is_run(folder):
    """Whether a folder is a run directory, by what lhrcnn wrote into it."""
    return "classes.json" in _listed(folder)


def drawn_in(folder):
    """Names of the images, videos and tables that lhrcnn made in a folder, such as predictions, and
    that are as they were left; a data set that it wrote has its own in folders below."""
    listed = _listed(folder)
    names = (name for name in listed if "/" not in name and name.lower().endswith(_DRAWN))
    return {name for name in names if _as_listed(pathlib.Path(folder), name, listed)}


class Output:
    """A folder that a command writes into, where it never replaces a file that lhrcnn did not
    write.

    The folder has a list of what lhrcnn wrote there: a file that has changed since is no longer
    lhrcnn's. `overwrite` gives other files up as well, but never `inputs`, what the command
    reads."""

    def __init__(self, folder, option="--output", overwrite=False, inputs=()):
        """Makes the folder. Raises OutputError naming the option where files cannot be written
        there."""
        self.folder, self.option, self.overwrite = pathlib.Path(folder), option, overwrite
        self.inputs = {os.path.realpath(path) for path in inputs}
        check_writable(folder, option)
        self._written = _listed(folder)

    def check(self, *names):
        """Raises OutputError for the first of these paths below the folder that may not be
        written."""
        for name in names:
            path = self.folder / name
            if os.path.realpath(path) in self.inputs:
                raise OutputError(
                    f"{path}: this command reads it, and never writes over it; give another "
                    f"{self.option}"
                )
            if os.path.lexists(path) and not self.overwrite and not self.owns(name):
                raise OutputError(
                    f"{path}: exists, and lhrcnn did not write it or it has changed since; "
                    f"give another {self.option}, or move the file away"
                )

    def others(self):
        """Paths of the files anywhere below the folder that lhrcnn did not write, sorted."""
        found = (
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if not (path.is_dir() and any(path.iterdir()))
        )
        return sorted(name for name in found if name != LIST and not self.owns(name))

    @contextlib.contextmanager
    def writing(self, name, mode="wb"):
        """A file open for writing that becomes the path `name` below the folder, as `replacing` has
        it."""
        self.check(name)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, mode) as file:
            yield file
        self.record(name)

    def record(self, name):
        """Notes that lhrcnn wrote the path `name` below the folder."""
        if name.splitlines() != [name]:
            return  # its second line would speak of another file
        self._written[name] = sha256_of(self.folder / name)
        with open(self.folder / LIST, "a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"{self._written[name]}  {name}\n")

    def write(self, name, text):
        """Writes a text file; returns its path."""
        with self.writing(name, "w") as file:
            file.write(text)
        return self.folder / name

    def owns(self, name):
        """Whether lhrcnn wrote the file `name` below the folder, and it is as it was left."""
        if _as_listed(self.folder, name, self._written):
            return True
        self._written = _listed(self.folder)  # another process may have written it since
        return _as_listed(self.folder, name, self._written)


def _listed(folder):
    """{path below the folder: sha256} of what lhrcnn wrote there."""
    path = pathlib.Path(folder, LIST)
    lines = path.read_text("utf-8", "surrogateescape").splitlines() if path.is_file() else []
    return {line[66:]: line[:64] for line in lines}


def _as_listed(folder, name, listed):
    path = folder / name
    is_file = name in listed and path.is_file() and not path.is_symlink()
    return is_file and sha256_of(path) == listed[name]


def sha256_of(path):
    """Hexadecimal sha256 of a file."""
    import hashlib  # `lhrcnn --help` does without

    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def held(folder, option="--output"):
    """Keeps other processes from holding the folder, too, until the block or this process ends.

    Raises OutputError naming the option while another one holds it. Where the system or the file
    system has no such locks (Windows, some network disks), nothing is kept from anyone."""
    with open(pathlib.Path(folder) / ".lock", "a", encoding="utf-8") as lock:
        try:
            if fcntl:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(
                f"{folder}: another process is writing there; wait for its end, or give another "
                f"{option}"
            ) from error
        except OSError:
            pass
        yield
