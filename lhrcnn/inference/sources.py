"""What `lhrcnn predict` is to look at: image files, folders, patterns, videos, cameras."""

import glob
import itertools
import os
import pathlib
import re
import tarfile
import typing

from lhrcnn.data.formats import IMAGE_SUFFIXES
from lhrcnn.data.readers.lookup import is_hidden, lines, walk
from lhrcnn.errors import UsageError

VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


class Sources(typing.NamedTuple):
    """What the words of a command line name, each in its order."""

    images: list  # paths, of files that may not be there
    videos: list  # paths, or numbers of cameras
    failures: list  # messages about folders and patterns without any

    @property
    def files(self):
        """All but cameras."""
        return [path for path in [*self.images, *self.videos] if not isinstance(path, int)]


class TarMember(typing.NamedTuple):
    """An image in a tar archive; `str` is its name, ARCHIVE/NAME."""

    archive: str
    name: str
    start: int  # byte of the archive
    size: int  # bytes

    def __str__(self):
        return f"{self.archive}/{self.name}"

    def __fspath__(self):
        return str(self)

    def read_bytes(self):
        """The image file's content."""
        with open(self.archive, "rb") as file:
            file.seek(self.start)
            return file.read(self.size)


def find_sources(words, output="", hint=lambda word: ""):
    """The `Sources` of words: a file, a folder, with all below it, a pattern, a camera's number, a
    tar archive, or a list of such words, a line each, in a .txt file.

    Hidden files of folders and patterns are passed over, as is the folder `output` inside them; a
    file that two words name comes once. Raises UsageError with hint(word) for no file."""
    images, videos, failures = {}, {}, []
    for word in _with_lists(words):
        path, names = pathlib.Path(word), None
        if path.is_dir():
            names, missing = _outside(walk(path), path, output), "no image in or below this folder"
        elif path.is_file() and word.lower().endswith(TAR_SUFFIXES):
            members = _members(word)
            images.update(dict.fromkeys(members))
            if not members:
                failures.append(f"{word}: no image in this archive")
        elif path.exists():
            (videos if _is_video(word) else images)[path] = None
        elif word.isdecimal():
            videos[int(word)] = None
        elif glob.has_magic(word):
            names, missing = _fitting(word, output), "no image fits this pattern"
        elif hint(word):
            raise UsageError(f"{word}: no such file; {hint(word)}")
        else:
            images[path] = None  # it is named where it is read
        if names is not None:
            found = [name for name in names if name.lower().endswith(IMAGE_SUFFIXES)]
            films = [name for name in names if _is_video(name)]
            images.update(dict.fromkeys(map(pathlib.Path, found)))
            videos.update(dict.fromkeys(map(pathlib.Path, films)))
            if not found and not films:
                looked_for = f"looked for {', '.join(IMAGE_SUFFIXES)} and videos"
                failures.append(f"{word}: {missing} ({looked_for})")
    return Sources(list(images), list(videos), failures)


def _with_lists(words):
    """The words, and the lines of .txt files instead of these."""
    for word in words:
        if word.lower().endswith(".txt") and os.path.isfile(word):
            named = [line for _, line in lines(word)]
            if not named:
                raise UsageError(f"{word}: an empty list; expected the path of an image a line")
            yield from named
        else:
            yield word


def _members(path):
    """The images of a tar archive, as `TarMember`s. Raises UsageError."""
    try:
        with tarfile.open(path, "r:") as archive:
            files = [member for member in archive if member.isreg() and not member.issparse()]
    except (tarfile.TarError, OSError) as error:
        raise UsageError(
            f"{path}: not readable as an archive ({error}); allowed are tar files that are not "
            "compressed, whose images can be read one by one"
        ) from None
    return [
        TarMember(path, member.name, member.offset_data, member.size)
        for member in files
        if member.name.lower().endswith(IMAGE_SUFFIXES)
        and not is_hidden(os.path.basename(member.name))
    ]


def _outside(files, folder, output):
    """The files of a folder, but for those of an `output` folder inside it."""
    if not output:
        return files
    folder, output = (os.path.join(os.path.realpath(path), "") for path in (folder, output))
    if output == folder or not output.startswith(folder):
        return files
    return [file for file in files if not os.path.realpath(file).startswith(output)]


def _fitting(pattern, output):
    """The files that a pattern means, and those below the folders that it means."""
    files, named = [], pathlib.Path(pattern).parts
    for name in sorted(glob.glob(pattern, recursive=True)):
        path = pathlib.Path(name)
        if not any(map(is_hidden, {*path.parts} - {*named})):
            files += walk(path) if path.is_dir() else [name]
    folder = pathlib.Path(*itertools.takewhile(lambda part: not glob.has_magic(part), named))
    return _outside(files, folder, output)


def _is_video(name):
    return name.lower().endswith(VIDEO_SUFFIXES)


def output_names(paths, suffix, images=()):
    """A file name for each path, numbered where one of another folder has it already.

    images: file names that frames of a video, NAME_000000.jpg, are not to have."""
    frames = filter(None, (re.fullmatch(r"(.+)_\d{6,}\.jpg", name) for name in images))
    names, taken = [], {f"{frame[1]}{suffix}".casefold() for frame in frames}
    for path in paths:
        stem = path.stem if isinstance(path, pathlib.Path) else f"camera_{path}"
        name, number = f"{stem}{suffix}", 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}_{number}{suffix}"
        taken.add(name.casefold())
        names.append(name)
    return names
