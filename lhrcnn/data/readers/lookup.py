"""The files of a data folder: which there are, images by what annotations call them, their text."""

import codecs
import contextlib
import csv
import io
import json
import os
import pathlib
import re
import unicodedata
import urllib.parse
import xml.etree.ElementTree as ElementTree

from lhrcnn.data.formats import IMAGE_SUFFIXES
from lhrcnn.data.schema import Problem
from lhrcnn.errors import DataError
from lhrcnn.files import LIST, drawn_in, is_run

_IMAGE_FOLDERS = {"images", "Images", "JPEGImages", "img", "imgs"}


class ImageIndex:
    """The image files below a data folder, found by what annotation files call them."""

    def __init__(self, folder, image_dir=""):
        """image_dir: where to look, relative to folder; empty: everywhere below it."""
        root = folder / image_dir if image_dir else folder
        if not root.is_dir():
            raise DataError(f"{root}: no such image folder; correct data.image_dir")
        self._folder, self.root, self._by_name, self._by_stem = folder, root, {}, {}
        self.paths = [path for path in walk(root) if path.lower().endswith(IMAGE_SUFFIXES)]
        for path in self.paths:
            name = os.path.basename(path)
            self._by_name.setdefault(_key(name), []).append(path)
            self._by_stem.setdefault(_key(os.path.splitext(name)[0]), []).append(path)

    def find(self, image, problems):
        """The path of a `LabelledImage`; empty, with a problem, where there is not exactly one."""
        near, options = image.source.parent, []
        for name in filter(None, map(local_name, image.names)):
            for base in (near, self.root, self._folder):
                path = os.path.normpath(base / name)
                if os.path.isfile(path) and (not options or path in options):
                    return path
            word = _key(os.path.basename(name))
            paths = self._by_name.get(word) or self._by_stem.get(word) or ()
            best = _closest(paths, near / image.split / name)
            if options:  # a later name may tell which
                best = [path for path in best if path in options]
            if len(best) == 1:
                return best[0]
            options = options or best
        if options:
            text = (
                f"{image.where}: '{image.names[0]}' may be {' or '.join(options[:3])}; left out "
                "(data.image_dir names a folder to look in alone, relative to the data folder)"
            )
            problems.append(Problem.error("ambiguous image name", text))
            return ""
        text = f"{image.where}: no image file '{image.names[0]}' in or below {self.root}; left out"
        problems.append(Problem.error("missing image", text))
        return ""


def _key(name):
    """What names have in common that differ in case, or in how letters with accents are written:
    macOS stores these in two parts."""
    return unicodedata.normalize("NFC", name).casefold()


def _closest(paths, wanted):
    """Those of paths that share most folder names with the wanted one, or lie among images."""
    words = set(wanted.parts[:-1])
    folders = [set(pathlib.PurePath(path).parts[:-1]) for path in paths]
    ranks = [(len(words & own), bool(_IMAGE_FOLDERS & own)) for own in folders]
    return [path for path, rank in zip(paths, ranks) if rank == max(ranks)]


def data_folder(name):
    """The path of a data folder. Raises DataError where there is none."""
    folder = pathlib.Path(name)
    if not folder.is_dir():
        hint = "; give the folder, not a file" if folder.is_file() else ""
        raise DataError(f"{name}: no such data folder{hint}; set data.dir or --data_dir")
    return folder


def local_name(name):
    """The path in a name that may be Windows's or a URL, such as `/data/local-files/?d=a.jpg`."""
    if ":" not in name and "\\" not in name and "?" not in name:
        return name
    with contextlib.suppress(ValueError, KeyError):  # none of these, though it looks like one
        if "?d=" in name:
            name = urllib.parse.parse_qs(urllib.parse.urlsplit(name).query)["d"][0]
        elif re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", name):
            name = urllib.parse.unquote(urllib.parse.urlsplit(name).path).lstrip("/")
    return re.sub(r"^[A-Za-z]:", "", name.replace("\\", "/"))


def stem(path):
    """The name of a file without folders and suffix, also of a path of Windows."""
    return os.path.splitext(path.replace("\\", "/").rpartition("/")[2])[0]


def walk(folder):
    """Sorted paths of all files in and below a folder, also by links to folders elsewhere, without
    what systems and tools hide, and what lhrcnn made in folders below: runs, predictions, pages."""
    paths, walked = [], [os.path.realpath(folder)]

    def is_walked(path):
        """Whether a folder is a link to what is walked anyway, or to a folder around it."""
        if not os.path.islink(path):
            return False
        target = os.path.realpath(path)
        if any(os.path.commonpath([target, place]) in (target, place) for place in walked):
            return True
        walked.append(target)
        return False

    for parent, folders, names in os.walk(folder, followlinks=True):
        own = ()
        if LIST in names and parent != os.fspath(folder):
            if is_run(parent):
                folders.clear()
                continue
            own = drawn_in(parent)
            if "detections.json" in own:
                folders.clear()  # forms of `lhrcnn predict --save`
        there = (name for name in sorted(folders) if not is_hidden(name))
        folders[:] = [name for name in there if not is_walked(os.path.join(parent, name))]
        paths.extend(
            os.path.join(parent, name) for name in names if not is_hidden(name) and name not in own
        )
    return sorted(paths)


def listed(folder, *suffixes):
    """Sorted `Path`s of the files with one of these suffixes (none: all) in and below a folder."""
    return [
        pathlib.Path(path)
        for path in walk(folder)
        if not suffixes or path.lower().endswith(suffixes)
    ]


def is_hidden(name):
    """Whether a file or folder is none of the data: `._a.jpg`, `.ipynb_checkpoints`, `@eaDir`."""
    return name.startswith((".", "@eaDir", "__MACOSX")) or name in ("Thumbs.db", "desktop.ini")


def head(file, size=65536):
    """The beginning of a text file, as `read_text` has it."""
    with open(file, "rb") as stream:
        return _decoded(stream.read(size), is_whole=False)


def tail(file, size=65536):
    """The end of a text file in UTF-8."""
    with open(file, "rb") as stream:
        stream.seek(max(0, os.path.getsize(file) - size))
        return stream.read().decode("utf-8", errors="ignore")


def read_text(file):
    """A text file in UTF-8, with or without its mark, or UTF-16 with it, else in GBK or in western
    Windows's code page 1252."""
    return _decoded(pathlib.Path(file).read_bytes())


def _decoded(content, is_whole=True):
    """Text of bytes, whose last character may be cut where they are not the whole file."""
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if is_utf16 else ("utf-8-sig", "gbk"):
        with contextlib.suppress(UnicodeDecodeError):
            text = codecs.getincrementaldecoder(encoding)().decode(content, is_whole)
            if encoding != "gbk" or _is_chinese(content):
                return text
    return content.decode("utf-16" if is_utf16 else "cp1252", errors="replace")


def _is_chinese(content):
    """Whether bytes that may be GBK are no western text: there a letter beyond ASCII stands between
    letters of ASCII, which GBK has as the second bytes of rare characters alone."""
    second = [pair[1] for pair in re.findall(rb"[\x81-\xfe][\x40-\xfe]", content)]
    return 2 * sum(byte < 0x80 for byte in second) < len(second)


def lines(file):
    """[(number from 1, line without blanks around it)] of a text file, but for empty lines."""
    found = enumerate(map(str.strip, read_text(file).splitlines()), start=1)
    return [(number, line) for number, line in found if line]


def read_json(file):
    """The content of a JSON file. Raises DataError where it is none."""
    try:
        return from_json(read_text(file))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: not readable as JSON: {error}") from None


def from_json(text):
    """What JSON text says, with "?" for halves of pairs of UTF-16, which no file can hold. Raises
    ValueError or RecursionError."""
    content = json.loads(text)
    if re.search(rb"\\u[dD]" if isinstance(text, bytes) else r"\\u[dD]", text):
        content = json.loads(json.dumps(content, ensure_ascii=False).encode(errors="replace"))
    return content


def read_csv(file):
    """Yields the rows of a file as lists of texts, whatever separates cells and lines. Raises
    DataError naming the line."""
    text = read_text(file)
    reader = csv.reader(io.StringIO(text, newline=None), delimiter=_delimiter(_first_line(text)))
    try:
        yield from reader
    except csv.Error as error:
        raise DataError(f"{file}: line {reader.line_num}: not readable as CSV: {error}") from None


def head_of_csv(file):
    """The first row of a file as `read_csv` has it, of any file."""
    line = _first_line(head(file, 65536).replace("\0", ""))  # which Python 3.10 refuses
    return next(csv.reader([line], delimiter=_delimiter(line)))


def _first_line(text):
    return re.split("[\r\n]", text, maxsplit=1)[0]


def _delimiter(line):
    return max(",;\t|", key=line.count)


def read_xml(file):
    """The root element of an XML file; text that is not of the encoding it names is as
    of `read_text`.

    Raises ElementTree.ParseError."""
    try:
        return ElementTree.parse(file).getroot()
    except (ElementTree.ParseError, LookupError, UnicodeDecodeError, ValueError):
        return ElementTree.parse(xml_stream(file)).getroot()


def xml_stream(file):
    """The text of an XML file as a stream in UTF-8, whatever encoding it has or names."""
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", read_text(file))
    return io.BytesIO(text.encode(errors="replace"))
