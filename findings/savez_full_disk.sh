#!/bin/sh
# One would guess: when `numpy.savez` fails on a full disk, the OSError that it raises is all there is to see.
# It is not so (NumPy 1.26.4, the last of the 1 series; 2.5.5 closes it): its ZipFile stays open, and once the
#   caller has handled the error and closed the file, Python prints "Exception ignored in: ZipFile.__del__" and
#   a traceback of a ValueError, which no `except` can keep from the terminal.
# It matters: a program that makes one clear line of "no space left" shows a traceback of zipfile.py below it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile numpy==1.26.4
cat > full.py <<'EOF'
import resource
import signal
import numpy as np

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, 10**5))  # no file may be longer, as on a full disk
try:
    with open("a.npz", "wb") as file:
        np.savez(file, a=np.ones(10**6))
except OSError as error:
    print(f"NumPy {np.__version__}: {error}")
EOF
venv/bin/python full.py > out 2> err
cat out err >&2
grep -q "File too large" out && grep -q "Exception ignored in.*ZipFile.__del__" err && grep -q "seek of closed file" err
