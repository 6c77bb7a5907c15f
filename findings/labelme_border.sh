#!/bin/sh
# One would guess: a rectangle drawn across the border of an image ends at the border.
# labelme 5.4.1: at the right and the bottom it ends one pixel before, at 99 and 79 of 100 x 80 px; at the left
#   and the top it ends at 0. labelme 6.3.1 ends at 100 and 80. In both, points count from the outer corner of
#   the first pixel, so a box is half-open: what is drawn from 10, 20 to 40, 60 is written as that.
# It matters: objects that the image cuts off, and those that fill it, are one pixel short in older files; a
#   reader that takes the ends as inclusive repairs those and makes all others too large.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > draw.py <<'EOF'
import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"
import inspect

import labelme
from labelme.app import MainWindow
from PIL import Image
from PyQt5 import QtCore, QtGui, QtTest, QtWidgets

Image.new("RGB", (100, 80)).save("a.png")
application = QtWidgets.QApplication([])
takes = inspect.signature(MainWindow.__init__).parameters
window = MainWindow(**{"file_or_dir" if "file_or_dir" in takes else "filename": "a.png"})
window.resize(900, 700)
window.show()
application.processEvents()
canvas = getattr(window, "_canvas_widgets", window).canvas
if hasattr(canvas, "CREATE"):
    canvas.mode, canvas.createMode, signal = canvas.CREATE, "rectangle", canvas.newShape
    shift = canvas.offsetToCenter()
else:
    canvas.mode, canvas.create_mode, signal = type(canvas.mode).CREATE, "rectangle", canvas.new_shape
    shift = canvas._compute_image_origin_offset()
signal.disconnect()  # no dialog that asks for the label


def at(x, y):
    return QtCore.QPoint(round((x + shift.x()) * canvas.scale), round((y + shift.y()) * canvas.scale))


def draw(start, end):
    QtTest.QTest.mouseClick(canvas, QtCore.Qt.LeftButton, pos=at(*start))
    canvas.mouseMoveEvent(
        QtGui.QMouseEvent(
            QtCore.QEvent.MouseMove, QtCore.QPointF(at(*end)), QtCore.Qt.NoButton,
            QtCore.Qt.NoButton, QtCore.Qt.NoModifier,
        )
    )
    QtTest.QTest.mouseClick(canvas, QtCore.Qt.LeftButton, pos=at(*end))
    return [round(value) for point in canvas.shapes[-1].points for value in (point.x(), point.y())]


inside, right, down, left = (
    draw(*ends)
    for ends in (
        ((10, 20), (40, 60)), ((50, 40), (300, 60)), ((50, 40), (60, 300)), ((50, 40), (-30, 60))
    )
)
print(f"labelme {labelme.__version__}: {inside}, to the right {right[2]}, down {down[3]}, left {left[2]}")
EOF
for version in 5.4.1 6.3.1; do
    python3 -m venv "venv$version"
    "venv$version/bin/pip" install --quiet --disable-pip-version-check --no-compile \
        "labelme==$version" pyqt5==5.15.11 pillow==11.3.0
    "venv$version/bin/python" draw.py 2>/dev/null | grep '^labelme' | tee -a found
done
printf '%s\n' 'labelme 5.4.1: [10, 20, 40, 60], to the right 99, down 79, left 0' \
    'labelme 6.3.1: [10, 20, 40, 60], to the right 100, down 80, left 0' > expected
cmp found expected
