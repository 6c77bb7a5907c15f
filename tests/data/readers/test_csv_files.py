"""The CSV reader: the headers of Open Images, keras-retinanet, TensorFlow and others."""

import pytest
from data.reading import images, kinds, read, seen, write

from lhrcnn.data.readers import auto
from lhrcnn.errors import DataError

ANT = ("ant", 20, 10, 60, 40)


@pytest.mark.parametrize(
    "text",
    [
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,100,80,ant,10,20,40,60\n",
        "a.jpg,10,20,40,60,ant\n",  # keras-retinanet
        "image_id;label;x1;y1;x2;y2\na;ant;10;20;40;60\n",
        'image_id,width,height,bbox,class\na,100,80,"[10.0, 20.0, 30.0, 40.0]",ant\n',
        "image,label,x,y,width,height\na.jpg,ant,10,20,30,40\n",
        "\ufefffilename,class,xmin,ymin,xmax,ymax\r\nC:\\photos\\a.jpg,ant,10,20,40,60\r\n",
        "filename,class,xmin,ymin,xmax,ymax\ra.jpg,ant,10,20,40,60\r",  # lines of Mac spreadsheets
        "a.jpg,10,20,40,60,ant,100,80\n",  # SKU-110K
        "ant,10,20,30,40,a.jpg,100,80\n",  # makesense.ai
        "TRAIN,gs://bucket/a.jpg,ant,0.1,0.25,,,0.4,0.75,,\n",  # AutoML
        "training,gs://bucket/a.jpg,ant,0.1,0.25,0.4,0.25,0.4,0.75,0.1,0.75\n",  # Vertex AI
    ],
)
def test_dialects(tmp_path, text):
    images(tmp_path, "photos/a.jpg")
    write(tmp_path, {"boxes.csv": text})
    dataset = read("csv", tmp_path)
    assert seen(dataset) == {"a.jpg": [ANT]} and dataset.problems == []


def test_open_images(tmp_path):
    images(tmp_path, "train/0001.jpg", "validation/0002.jpg")
    head = (
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,"
        "IsDepiction,IsInside\n"
    )
    write(
        tmp_path,
        {
            "train-annotations-bbox.csv": head
            + "0001,xclick,/m/0_k2,1,0.1,0.4,0.25,0.75,0,0,0,0,0\n",
            "validation-annotations-bbox.csv": head
            + "0002,xclick,/m/0_k2,1,0,1,0,1,0,0,1,0,0\n"
            + "0002,x,/m/0898b,1,0.1,0.4,0.25,0.75,-1,-1,-1,-1,-1\n",
            "class-descriptions-boxable.csv": "/m/0_k2,ant\n/m/0898b,zebra\n",
        },
    )
    assert seen(read("csv", tmp_path, "train")) == {"0001.jpg": [ANT]}
    val = read("csv", tmp_path, "val")
    assert val.class_names == ["ant", "zebra"]
    assert seen(val) == {"0002.jpg": [("ant!", 0, 0, 80, 100), ("zebra", 20, 10, 60, 40)]}


def test_splits_and_titles_as_google_writes_them(tmp_path):
    images(tmp_path, *(f"{name}.jpg" for name in "abcd"))
    words = zip("abcd", ("TRAINING", "validation", "TEST", "UNASSIGNED"))
    rows = "".join(f"{word},gs://x/{name}.jpg,/m/01,.1,.25,,,.4,.75,,\n" for name, word in words)
    titles = "LabelName,DisplayName\n/m/01,ant\n"  # Open Images V7
    write(tmp_path, {"ml_use.csv": rows, "oidv7-class-descriptions.csv": titles})
    assert auto.recognise(tmp_path).splits == {"train": "train", "val": "val", "test": "test"}
    assert seen(read("csv", tmp_path, "train")) == {"a.jpg": [ANT], "d.jpg": [ANT]}
    assert seen(read("csv", tmp_path, "val")) == {"b.jpg": [ANT]}


def test_images_without_objects_stand_alone_on_their_line(tmp_path):
    images(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    write(
        tmp_path,
        {"annotations.csv": "a.jpg,10,20,40,60,ant\nb.jpg,,,,,\n", "classes.csv": "ant,0\n"},
    )
    dataset = read("csv", tmp_path)
    assert seen(dataset) == {"a.jpg": [ANT], "b.jpg": []}
    assert kinds(dataset) == ["image without annotations"] and "c.jpg" in dataset.problems[0].text


def test_columns_may_be_named(tmp_path):
    images(tmp_path, "a.jpg")
    write(tmp_path, {"x.csv": "photo,kind,l,t,r,b\na.jpg,ant,10,20,40,60\n"})
    named = "csv_columns=[image=photo, class=kind, xmin=l, ymin=t, xmax=r, ymax=b]"
    assert seen(read("csv", tmp_path, "*", named)) == {"a.jpg": [ANT]}
    with pytest.raises(DataError, match="no annotation file"):
        read("csv", tmp_path)
    with pytest.raises(DataError, match="'left=l': expected ROLE=COLUMN"):
        read("csv", tmp_path, "*", "csv_columns=[left=l]")


def test_faulty_lines_are_named(tmp_path):
    images(tmp_path, "a.jpg")
    head = "filename,class,xmin,ymin,xmax,ymax\n"
    write(tmp_path, {"x.csv": head + "a.jpg,ant,10,20,forty,60\na.jpg,ant,10,20,40,60\n"})
    dataset = read("csv", tmp_path)
    assert seen(dataset) == {"a.jpg": [ANT]} and kinds(dataset) == ["bad line"]
    assert "x.csv: line 2: 'forty' is no number" in dataset.problems[0].text


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "None", "null"])
def test_an_empty_cell_in_any_words_is_no_box(tmp_path, cell):
    images(tmp_path, "a.jpg", "b.jpg")
    head = "filename,class,xmin,ymin,xmax,ymax\na.jpg,ant,10,20,40,60\n"
    write(tmp_path, {"x.csv": f"{head}b.jpg{f',{cell}' * 5}\n"})
    dataset = read("csv", tmp_path)
    assert seen(dataset) == {"a.jpg": [ANT], "b.jpg": []} and kinds(dataset) == []
    assert dataset.class_names == ["ant"]


def test_a_table_without_a_known_column_of_classes_says_so(tmp_path):
    images(tmp_path, "a.jpg")
    write(tmp_path, {"x.csv": "image,xmin,ymin,xmax,ymax,species\na.jpg,10,20,40,60,ant\n"})
    dataset = read("csv", tmp_path)
    assert dataset.class_names == ["object"] and kinds(dataset) == ["no column of classes"]
    assert "image, xmin, ymin, xmax, ymax, species" in dataset.problems[0].text
    named = read("csv", tmp_path, "*", "csv_columns=[class=species]")
    assert named.class_names == ["ant"] and kinds(named) == []


def test_what_csv_cannot_hold_is_named(tmp_path):
    images(tmp_path, "a.jpg")
    text = f"filename,class,xmin,ymin,xmax,ymax\na.jpg,{'a' * 200_000},10,20,40,60\n"
    write(tmp_path, {"boxes.csv": text})
    with pytest.raises(DataError, match="boxes.csv: line 2: not readable as CSV"):
        read("csv", tmp_path)


def test_a_column_may_name_the_split(tmp_path):
    images(tmp_path, "a.jpg", "b.jpg")
    head = "image,split,class,xmin,ymin,xmax,ymax\n"
    write(tmp_path, {"x.csv": head + "a.jpg,train,ant,10,20,40,60\nb.jpg,valid,ant,10,20,40,60\n"})
    assert set(seen(read("csv", tmp_path, "train"))) == {"a.jpg"}
    assert set(seen(read("csv", tmp_path, "val"))) == {"b.jpg"}


def test_a_file_of_everything_beside_the_splits(tmp_path):
    images(tmp_path, "a.jpg", "b.jpg")
    head, row = "filename,class,xmin,ymin,xmax,ymax\n", ",ant,10,20,40,60\n"
    write(
        tmp_path,
        {
            "all_labels.csv": f"{head}a.jpg{row}b.jpg{row}",
            "test_labels.csv": f"{head}b.jpg{row}",
            "train_labels.csv": f"{head}a.jpg{row}",
        },
    )
    train = read("csv", tmp_path, "train")
    assert seen(train) == {"a.jpg": [ANT]}
    assert kinds(train) == []
    assert kinds(read("csv", tmp_path)) == ["repeated image"] * 2


def test_open_images_as_fiftyone_keeps_it(tmp_path):
    images(tmp_path, "train/data/a.jpg")
    row = "a,x,/m/01,1,0.1,0.4,0.25,0.75\n"
    head = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n"
    files = {"labels/detections.csv": head + row, "metadata/classes.csv": "/m/01,Ant\n"}
    write(tmp_path / "train", files)
    assert seen(read("csv", tmp_path, "train")) == {"a.jpg": [("Ant", 20, 10, 60, 40)]}
