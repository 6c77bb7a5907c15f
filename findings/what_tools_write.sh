#!/bin/sh
# One would guess: tools that write the same format write the same thing.
# It is so: the same two images come out of seven libraries as the table below shows; it is the source of
#   docs/formats.md. Image 7, `a.jpg` of 100 x 80 px, has a zebra (category 2, annotation 5) at x 10...40,
#   y 20...60 and a crowd of ants (category 1, annotation 6) at x 5.5...12.5, y 6.5...14.5; image 9, `b.jpg`,
#   has no object. Label Studio has no crowds; its second box is an object like any other.
# It matters: who converts between formats loses decimals, ids, crowds or images without a word.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile pillow==11.3.0
venv/bin/python - <<'EOF'
import json, pathlib
from PIL import Image

pathlib.Path("in/images/train").mkdir(parents=True)
pathlib.Path("in/annotations").mkdir()
for name in "ab":
    Image.new("RGB", (100, 80)).save(f"in/images/train/{name}.jpg")
sizes = {"width": 100, "height": 80}
common = {"image_id": 7, "segmentation": []}
json.dump({
    "images": [{"id": 7, "file_name": "a.jpg", **sizes}, {"id": 9, "file_name": "b.jpg", **sizes}],
    "categories": [{"id": 1, "name": "ant"}, {"id": 2, "name": "zebra"}],
    "annotations": [
        {"id": 5, "category_id": 2, "bbox": [10, 20, 30, 40], "area": 1200, "iscrowd": 0, **common},
        {"id": 6, "category_id": 1, "bbox": [5.5, 6.5, 7, 8], "area": 56, "iscrowd": 1, **common},
    ],
}, open("in/annotations/instances_train.json", "w"))
EOF

# run NAME PACKAGES... < PYTHON: with these packages alone, writing into the folder NAME
run() {
    name=$1
    shift
    venv/bin/pip install --quiet --disable-pip-version-check --no-compile --target "$name.site" "$@"
    mkdir "$name"
    PYTHONPATH=$name.site venv/bin/python - > "$name.log" 2>&1 || { cat "$name.log"; exit 1; }
}

run supervision supervision==0.31.2 <<'EOF'
import supervision
data = supervision.DetectionDataset.from_coco("in/images/train", "in/annotations/instances_train.json")
data.as_pascal_voc(annotations_directory_path="supervision/voc")
data.as_yolo(annotations_directory_path="supervision/yolo")
data.as_coco(annotations_path="supervision/coco.json")
EOF

run globox globox==2.9.0 <<'EOF'
import globox, pathlib
data = globox.AnnotationSet.from_coco("in/annotations/instances_train.json")
data.save_pascal_voc("globox/voc")
data.save_yolo_v5("globox/yolo", label_to_id={"ant": 0, "zebra": 1})
data.save_coco("globox/coco.json", auto_ids=True)
data.save_cvat("globox/cvat.xml")
data.save_labelme("globox/labelme")
data.save_openimage("globox/open_images.csv")
data.save_via_json("globox/via.json", image_folder=pathlib.Path("in/images/train"))
EOF

run labelformat labelformat==0.1.17 <<'EOF'
import subprocess
words = "labelformat.site/bin/labelformat convert --task object-detection --input-format coco"
words += " --input-file in/annotations/instances_train.json --output-format "
for rest in (
    "pascalvoc --output-folder labelformat/voc",
    "yolov8 --output-file labelformat/yolo/data.yaml --output-split train",
    "coco --output-file labelformat/coco.json",
    "cvat --output-folder labelformat/cvat",
    "kitti --output-folder labelformat/kitti",
):
    subprocess.run((words + rest).split(), check=True)
EOF

run pylabel pylabel==0.1.55 'pandas<2.2' 'numpy<2' <<'EOF'
from pylabel import importer
data = importer.ImportCoco("in/annotations/instances_train.json", path_to_images="../images/train")
data.export.ExportToVoc(output_path="pylabel/voc")
data.export.ExportToYoloV5(output_path="pylabel/yolo/labels")
data.export.ExportToCoco(output_path="pylabel/coco.json")
EOF

run brambox brambox==5.0.0 <<'EOF'
import brambox, os
boxes = brambox.io.load("anno_coco", "in/annotations/instances_train.json")
for name in ("voc", "yolo", "kitti"):
    os.mkdir(f"brambox/{name}")
brambox.io.save(boxes, "anno_pascalvoc", "brambox/voc")
names = ["ant", "zebra"]
brambox.io.save(boxes, "anno_darknet", "brambox/yolo", image_dims=lambda _: (100, 80), class_label_map=names)
brambox.io.save(boxes, "anno_kitti", "brambox/kitti")
EOF

run datumaro datumaro==1.13.12 <<'EOF'
import datumaro
data = datumaro.Dataset.import_from("in", "coco_instances")
for name, format_ in (("voc", "voc_detection"), ("yolo", "yolo"), ("coco", "coco_instances"),
                      ("cvat", "cvat"), ("kitti", "kitti_detection"), ("wider_face", "wider_face"),
                      ("open_images", "open_images")):
    data.export(f"datumaro/{name}", format_, save_media=True)
EOF

run label_studio label-studio-sdk==2.1.2 <<'EOF'
import json, os
from label_studio_sdk.converter import Converter
from label_studio_sdk.converter.imports.coco import convert_coco_to_ls

convert_coco_to_ls("in/annotations/instances_train.json", "label_studio/import.json")

def result(name, x, y, width, height):
    value = {"x": x, "y": y * 1.25, "width": width, "height": height * 1.25, "rotation": 0}
    return {"id": name, "type": "rectanglelabels", "from_name": "l", "to_name": "i",
            "value": {**value, "rectanglelabels": [name]}, "image_rotation": 0,
            "original_width": 100, "original_height": 80}

results = [result("zebra", 10, 20, 30, 40), result("ant", 5.5, 6.5, 7, 8)]
tasks = [{"id": id_, "data": {"image": os.path.abspath(f"in/images/train/{name}.jpg")},
          "annotations": [{"id": id_, "result": found}]}
         for id_, name, found in ((7, "a", results), (9, "b", []))]
json.dump(tasks, open("label_studio/tasks.json", "w"))
converter = Converter('<View><Image name="i" value="$image"/><RectangleLabels name="l" toName="i">'
                      '<Label value="zebra"/><Label value="ant"/></RectangleLabels></View>', "in/images/train")
for name in ("voc", "yolo", "coco"):
    converter.convert("label_studio/tasks.json", f"label_studio/{name}", name.upper(), is_dir=False)
EOF

cat > expected <<'EOF'
voc         supervision  ant 6 8 12 14 difficult=None; b: a file; zebra 11 21 40 60 difficult=None
voc         globox       ant 5.5 6.5 12.5 14.5 difficult=None; b: a file; zebra 10.0 20.0 40.0 60.0 difficult=None
voc         labelformat  ant 5.5 6.5 12.5 14.5 difficult=0; b: a file; zebra 10.0 20.0 40.0 60.0 difficult=0
voc         pylabel      ant 5 6 12 14 difficult=; b: a file; zebra 10 20 40 60 difficult=
voc         brambox      ant 6 6 12 14 difficult=0; b: no file; zebra 10 20 40 60 difficult=0
voc         datumaro     ant 5.5 6.5 12.5 14.5 difficult=0; b: no file; zebra 10.0 20.0 40.0 60.0 difficult=0
voc         label_studio ant 5 6 12 14 difficult=0; b: no file; zebra 10 20 40 60 difficult=0
yolo        supervision  0 0.09000 0.13125 0.07000 0.10000; 1 0.25000 0.50000 0.30000 0.50000; b: an empty file
yolo        globox       0 0.09 0.13125 0.07 0.1; 1 0.25 0.5 0.3 0.5; b: an empty file
yolo        labelformat  1 0.09 0.13125 0.07 0.1; 2 0.25 0.5 0.3 0.5; b: an empty file
yolo        pylabel      1 0.0900 0.1313 0.0700 0.1000; 2 0.2500 0.5000 0.3000 0.5000; b: an empty file
yolo        brambox      0 0.09 0.13125 0.07 0.1; 1 0.25 0.5 0.3 0.5; b: no file
yolo        datumaro     1 0.250000 0.500000 0.300000 0.500000; b: an empty file
yolo        label_studio 0 0.09 0.13125 0.07 0.1; 1 0.25 0.5 0.3 0.5; b: an empty file
coco        supervision  1 1 2 [10.0, 20.0, 30.0, 40.0] 1200.0 0; 2 1 1 [5.5, 6.5, 7.0, 8.0] 56.0 1; categories {1: 'ant', 2: 'zebra'}; images {1: 'a.jpg', 2: 'b.jpg'}
coco        globox       0 7 2 [10.0, 20.0, 30.0, 40.0] 1200.0 0; 1 7 1 [5.5, 6.5, 7.0, 8.0] 56.0 0; categories {1: 'ant', 2: 'zebra'}; images {7: 'a.jpg', 9: 'b.jpg'}
coco        labelformat  categories {1: 'ant', 2: 'zebra'}; images {7: 'a.jpg', 9: 'b.jpg'}; no id 7 1 [5.5, 6.5, 7.0, 8.0] no area no iscrowd; no id 7 2 [10.0, 20.0, 30.0, 40.0] no area no iscrowd
coco        pylabel      0 7 2 [10.0, 20.0, 30.0, 40.0] 1200.0 0.0; 1 7 1 [5.5, 6.5, 7.0, 8.0] 56.0 1.0; 1 7 1 [5.5, 6.5, 7.0, 8.0] 56.0 1.0; categories {1: 'ant', 2: 'zebra'}; images {7: 'a.jpg', 9: 'b.jpg'}
coco        datumaro     5 7 2 [10.0, 20.0, 30.0, 40.0] 1200.0 0; 6 7 1 [5.5, 6.5, 7.0, 8.0] 56.0 0; categories {1: 'ant', 2: 'zebra'}; images {7: 'a.jpg', 9: 'b.jpg'}
coco        label_studio 0 0 1 [10.0, 20.0, 30.0, 40.0] 1200.0 0; 1 0 0 [5.5, 6.5, 7.0, 8.0] 56.0 0; categories {0: 'ant', 1: 'zebra'}; images {0: 'a.jpg', 1: 'b.jpg'}
cvat        globox       ant 5.5 6.5 12.5 14.5; images a.jpg, b.jpg; zebra 10.0 20.0 40.0 60.0
cvat        labelformat  ant 5.5 6.5 12.5 14.5; images a.jpg, b.jpg; zebra 10.0 20.0 40.0 60.0
cvat        datumaro     ant 5.50 6.50 12.50 14.50; images a.jpg, b.jpg; zebra 10.00 20.00 40.00 60.00
kitti       labelformat  ant -1 -1 -10 5.5 6.5 12.5 14.5 -1 -1 -1 -1000 -1000 -1000 -10; b: an empty file; zebra -1 -1 -10 10.0 20.0 40.0 60.0 -1 -1 -1 -1000 -1000 -1000 -10
kitti       brambox      ant 0.00 -1 -10 5.50 6.50 12.50 14.50 -1 -1 -1 -1000 -1000 -1000 -10; b: no file; zebra 0.00 -1 -10 10.00 20.00 40.00 60.00 -1 -1 -1 -1000 -1000 -1000 -10
kitti       datumaro     ant 0.0 0 -1 5.5 6.5 12.5 14.5 -1 -1 -1 -1 -1 -1 -1 1.0; b: no file; zebra 0.0 0 -1 10.0 20.0 40.0 60.0 -1 -1 -1 -1 -1 -1 -1 1.0
labelme     globox       a.jpg; ant [[5.5, 6.5], [12.5, 14.5]]; zebra [[10.0, 20.0], [40.0, 60.0]]
labelme     globox       b.jpg
open_images globox       a.jpg,,ant,,0.055,0.125,0.08125,0.18125,,,,,; a.jpg,,zebra,,0.1,0.4,0.25,0.75,,,,,
open_images datumaro     a,,ant,1,0.055,0.125,0.08125,0.18125,-1,-1,-1,-1,-1; a,,zebra,1,0.1,0.4,0.25,0.75,-1,-1,-1,-1,-1
via         globox       a.jpg: rect 10.0 20.0 30.0 40.0 {'label_id': 'zebra'}; a.jpg: rect 5.5 6.5 7.0 8.0 {'label_id': 'ant'}; b.jpg:
label_studio label_studio ?d=a.jpg: 10.0 25.0 30.0 50.0 zebra; ?d=a.jpg: 5.5 8.125 7.0 10.0 ant; ?d=b.jpg:
wider_face  datumaro     10.0 20.0 30.0 40.0 zebra; 2; 5.5 6.5 7.0 8.0 ant; no_label/a.jpg; no_label/b.jpg
EOF

python3 - > found <<'EOF'
import json, pathlib, re
import xml.etree.ElementTree as ElementTree

TOOLS = ("supervision", "globox", "labelformat", "pylabel", "brambox", "datumaro", "label_studio")


def files(tool, pattern):
    return sorted(pathlib.Path(tool).glob(pattern))


def text_of_b(paths, name):
    """What there is of the image without objects."""
    file = next((path for path in paths if path.name == name), None)
    return "no file" if file is None else "a file" if file.read_text().strip() else "an empty file"


def row(format_, tool, *parts):
    print(f"{format_:11} {tool:12} " + "; ".join(sorted(parts)))


for tool in TOOLS:
    paths = files(tool, "voc/**/*.xml")
    if paths:
        (a,) = (path for path in paths if path.name == "a.xml")
        boxes = [f"{o.findtext('name')} " + " ".join(o.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax"))
                 + f" difficult={o.findtext('difficult')}" for o in ElementTree.parse(a).iterfind("object")]
        row("voc", tool, *boxes, "b: " + text_of_b(paths, "b.xml"))
for tool in TOOLS:
    paths = files(tool, "yolo/**/[ab].txt")
    if paths:
        (a,) = (path for path in paths if path.name == "a.txt")
        row("yolo", tool, *a.read_text().strip().split("\n"), "b: " + text_of_b(paths, "b.txt"))
for tool in TOOLS:
    for path in [*files(tool, "coco.json"), *files(tool, "coco/**/*.json")]:
        content = json.loads(path.read_text())
        keys = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
        boxes = [" ".join(str(a.get(key, "no " + key)) for key in keys) for a in content["annotations"]]
        names = {image["id"]: pathlib.Path(image["file_name"]).name for image in content["images"]}
        names = dict(sorted(names.items()))
        classes = dict(sorted((category["id"], category["name"]) for category in content["categories"]))
        row("coco", tool, f"images {names}", f"categories {classes}", *boxes)
for tool in TOOLS:
    for path in [*files(tool, "cvat.xml"), *files(tool, "cvat/*.xml")]:
        text = path.read_text()
        boxes = [" ".join(re.findall(r'(?:label|xtl|ytl|xbr|ybr)="(.*?)"', box)) for box in re.findall("<box .*?>", text)]
        row("cvat", tool, *boxes, 
            "images " + ", ".join(sorted(re.findall('name="(.*?)"', " ".join(re.findall("<image .*?>", text))))))
for tool in TOOLS:
    paths = files(tool, "kitti/**/[ab].txt")
    if paths:
        (a,) = (path for path in paths if path.name == "a.txt")
        row("kitti", tool, *a.read_text().strip().split("\n"), "b: " + text_of_b(paths, "b.txt"))
for path in files("globox", "labelme/*.json"):
    content = json.loads(path.read_text())
    row("labelme", "globox", content["imagePath"], *(f"{s['label']} {s['points']}" for s in content["shapes"]))
for tool in ("globox", "datumaro"):
    for path in [*files(tool, "open_images.csv"), *files(tool, "open_images/**/*-bbox.csv")]:
        row("open_images", tool, *path.read_text().strip().split("\n")[1:])
for path in files("globox", "via.json"):
    entries = json.loads(path.read_text()).values()
    regions = [(e["filename"], e["regions"] or [None]) for e in entries]
    row("via", "globox", *(
        f"{name}: {' '.join(map(str, r['shape_attributes'].values()))} {r['region_attributes']}" if r else f"{name}:"
        for name, found in regions for r in found
    ))
for path in files("label_studio", "import.json"):  # values are percent
    tasks = [(t["data"]["image"].split("/")[-1], t["annotations"][0]["result"] or [None]) for t in json.loads(path.read_text())]
    row("label_studio", "label_studio", *(
        f"{name}: {' '.join(str(round(r['value'][k], 6)) for k in ('x', 'y', 'width', 'height'))} {r['value']['rectanglelabels'][0]}" if r else f"{name}:"
        for name, found in tasks for r in found
    ))
for path in files("datumaro", "wider_face/**/*gt.txt"):
    row("wider_face", "datumaro", *path.read_text().strip().split("\n"))
EOF
cat found
diff expected found > difference || { echo changed:; cat difference; exit 1; }
