"""One reader for each annotation format, by name; `data.format` takes the keys of `READERS`.

A reader is a function `read(data_config, split, training=False) -> Dataset` (see
`lhrcnn.data.schema`) of a split of the folder data_config.dir:

* It reads annotations, opens an image only for a size that they lack, and writes nothing.
* Boxes of a record are [n, 4] float32 (ymin, xmin, ymax, xmax), half-open px of the image as shown
  (after EXIF rotation); corners that a format counts from 1, or as inclusive, are converted here.
* `class_names` are those of the format where it lists them, else the sorted names of the objects of
  all splits, the same for every split. `category_ids` are the format's own numbers, else 1...K.
* Objects to be ignored (crowds, difficult ones, "do not care") have `ignore`; `training` with
  data_config.use_difficult takes VOC's difficult ones as usual objects.
* A fault goes to `problems` and what is faulty is left out; reading goes on. `Problem.error` is for
  what cannot be meant, `.warning` for what is dropped or clipped and counted (empty boxes, boxes
  beyond the border), `.note` for what the user may want to know of. DataError is for a folder or
  file without which there is no data set; it says what was found, what was looked for, what to do.

`records.make_dataset` does most of this for a list of `records.LabelledImage`; for annotation files
of tools, `gathering.gather` finds images, sizes and splits too.

An entry is such a function, or "module:function", which is imported when it is used. A plugin puts
its own: `READERS["my_format"] = read`.
"""

READERS = {
    "auto": "lhrcnn.data.readers.auto:read",
    "shapes": "lhrcnn.data.readers.coco:read",
    "coco": "lhrcnn.data.readers.coco:read",
    "voc": "lhrcnn.data.readers.voc:read",
    "imagenet_det": "lhrcnn.data.readers.imagenet_det:read",
    "icdar": "lhrcnn.data.readers.icdar:read",
    "folders": "lhrcnn.data.readers.folders:read",
    "yolo": "lhrcnn.data.readers.yolo:read",
    "csv": "lhrcnn.data.readers.csv_files:read",
    "labelme": "lhrcnn.data.readers.labelme:read",
    "cvat": "lhrcnn.data.readers.cvat:read",
    "via": "lhrcnn.data.readers.via:read",
    "label_studio": "lhrcnn.data.readers.label_studio:read",
    "kitti": "lhrcnn.data.readers.kitti:read",
    "wider_face": "lhrcnn.data.readers.wider_face:read",
    "crowdhuman": "lhrcnn.data.readers.crowdhuman:read",
    "createml": "lhrcnn.data.readers.createml:read",
    "voc_folder": "lhrcnn.data.readers.voc_folder:read",
}
