"""Sources: folders and tables as people really keep them."""

import os

import pytest

from fewskin.data.source import image_ids, list_images
from fewskin.data.sources.csv import csv
from fewskin.data.sources.folder import folder
from fewskin.data.sources.ham10000 import ham10000
from fewskin.errors import ConfigError, DataError, TableError

OFFICIAL = "lesion_id,image_id,dx,dx_type,age,sex,localization\n"


def touch(root, *names):
    """Make empty files: a source does not decode."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def column(read, name):
    return read.rows[name].tolist()


def kinds(read):
    return read.findings["kind"].tolist()


def test_a_class_is_a_folder_however_deep_its_images(tmp_path):
    touch(tmp_path, "acne/a.jpg", "rosacea/clinic 1/left/b.PNG", "rosacea/c.jpeg")
    read = folder(tmp_path, out=tmp_path)
    assert column(read, "image_id") == ["a", "c", "b"]
    assert column(read, "label") == ["acne", "rosacea", "rosacea"]
    assert column(read, "path")[2] == "rosacea/clinic 1/left/b.PNG"
    assert set(column(read, "source")) == {"real"}


def test_equal_stems_in_two_classes_get_ids_of_their_paths(tmp_path):
    touch(tmp_path, "acne/1.jpg", "rosacea/1.jpg", "rosacea/2.jpg")
    assert column(folder(tmp_path, out=tmp_path), "image_id") == ["acne__1", "rosacea__1", "2"]


def test_ids_are_unique_whatever_the_names():
    paths = ["a/b.jpg", "a/b.png", "a__b.jpg", "c/a__b.jpg", "x;y.jpg", "x_y.jpg", "b__1.jpg"]
    ids = image_ids(paths)
    assert len(set(ids)) == len(paths)
    assert not any(";" in name for name in ids)


def test_unicode_names_and_spaces_are_kept(tmp_path):
    touch(tmp_path, "Rosacée/visage gauche.jpg", "Άκνη/фото №1.jpg")
    read = folder(tmp_path, out=tmp_path)
    assert column(read, "label") == ["Rosacée", "Άκνη"]
    assert column(read, "image_id") == ["visage gauche", "фото №1"]


def test_decomposed_and_composed_accents_are_one_class(tmp_path):
    # macOS writes e + combining acute where others write one letter.
    touch(tmp_path, "Rosac\u0065\u0301e/1.jpg", "Rosac\u00e9e/2.jpg")
    read = folder(tmp_path, out=tmp_path)
    assert set(column(read, "label")) == {"Rosac\u00e9e"}
    assert all((tmp_path / path).is_file() for path in column(read, "path"))


def test_hidden_files_are_passed_over_and_others_reported(tmp_path):
    touch(tmp_path, "acne/1.jpg", "acne/.2.jpg", ".git/3.jpg", "acne/notes.txt", "acne/4.heic")
    read = folder(tmp_path, out=tmp_path)
    assert column(read, "image_id") == ["1"]
    skipped = read.findings[read.findings["kind"] == "skipped"]
    assert sorted(skipped["path"]) == ["acne/4.heic", "acne/notes.txt"]


def test_an_image_outside_every_class_folder_is_reported(tmp_path):
    touch(tmp_path, "acne/1.jpg", "loose.jpg")
    read = folder(tmp_path, out=tmp_path)
    found = read.findings[read.findings["kind"] == "unlabelled"]
    assert found["path"].tolist() == ["loose.jpg"]


def test_links_that_leave_the_folder_are_refused(tmp_path):
    outside = touch(tmp_path / "elsewhere", "secret.jpg")
    root = touch(tmp_path / "data", "acne/1.jpg")
    (root / "acne" / "2.jpg").symlink_to(outside / "secret.jpg")
    (root / "acne" / "3.jpg").symlink_to("1.jpg")
    (root / "acne" / "4.jpg").symlink_to("gone.jpg")
    (root / "rosacea").symlink_to(outside)
    read = folder(root, out=tmp_path)
    assert column(read, "image_id") == ["1", "3"]
    found = read.findings[read.findings["kind"].isin(["outside", "missing"])]
    assert sorted(found[["kind", "path"]].values.tolist()) == [
        ["missing", "acne/4.jpg"],
        ["outside", "acne/2.jpg"],
        ["outside", "rosacea"],
    ]


def test_a_name_that_is_not_utf8_is_reported_not_fatal(tmp_path):
    touch(tmp_path, "acne/1.jpg")
    try:
        with open(os.fsencode(tmp_path / "acne") + b"/\xff.jpg", "wb"):
            pass
    except OSError:
        pytest.skip("this file system holds UTF-8 names only")
    files = list_images(tmp_path)
    assert files.paths == ("acne/1.jpg",)
    assert files.findings[0]["path"].encode() == b"acne/\\udcff.jpg"


def test_without_patient_ids_a_finding_says_so(tmp_path):
    read = folder(touch(tmp_path, "acne/1.jpg", "acne/2.jpg"), out=tmp_path)
    assert column(read, "patient_id") == ["", ""]
    assert kinds(read) == ["no_patient_ids"]
    assert "2 of 2 images" in read.findings["detail"][0]


def test_patients_come_from_file_names(tmp_path):
    touch(tmp_path, "acne/P07_1.jpg", "acne/P07_2.jpg", "rosacea/P12/x.jpg", "rosacea/odd.jpg")
    read = folder(tmp_path, out=tmp_path, patient_from=r"^(P\d+)[_/]")
    assert column(read, "patient_id") == ["P07", "P07", "P12", ""]
    assert "1 of 4 images" in read.findings["detail"][0]


@pytest.mark.parametrize("options", [{"patient_from": "(P"}, {"label_level": 0}])
def test_an_impossible_option_is_a_config_error(tmp_path, options):
    with pytest.raises(ConfigError, match="source"):
        folder(touch(tmp_path, "acne/1.jpg"), out=tmp_path, **options)


def test_split_folders_are_noticed_and_can_be_stepped_over(tmp_path):
    touch(tmp_path, "train/acne/1.jpg", "test/rosacea/2.jpg")
    assert "label_names" in kinds(folder(tmp_path, out=tmp_path))
    read = folder(tmp_path, out=tmp_path, label_level=2)
    assert column(read, "label") == ["rosacea", "acne"]
    assert "label_names" not in kinds(read)


def test_a_folder_without_images_is_one_error_that_names_the_first_finding(tmp_path):
    with pytest.raises(DataError, match=r"no labelled image.*notes\.txt: not an image extension"):
        folder(touch(tmp_path, "acne/notes.txt"), out=tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        folder(tmp_path / "absent", out=tmp_path)


def write(root, text, name="table.csv"):
    (root / name).write_text(text, encoding="utf-8")
    return root


def test_a_table_names_images_with_or_without_extension_and_folder(tmp_path):
    touch(tmp_path, "img/a.jpg", "img/b.JPG", "img/deep/c.png", "img/d.jpg")
    write(tmp_path, "image,label\nimg/a.jpg,x\nb,x\ndeep/c.png,y\nimg\\d.png,y\n")
    read = csv(tmp_path, out=tmp_path, images="img")
    assert column(read, "path") == ["b.JPG", "deep/c.png"]
    read = csv(tmp_path, out=tmp_path)
    assert column(read, "path") == ["img/a.jpg", "img/b.JPG", "img/d.jpg"]
    assert column(read, "image_id") == ["a", "b", "d"]


def test_columns_are_mapped_and_unknown_ones_pass_through(tmp_path):
    touch(tmp_path, "a.jpg")
    write(
        tmp_path, "photo,disease,person,spot,region,age,itch,source\na,acne,P1,L1,cheek,40,yes,X\n"
    )
    names = {"image": "photo", "label": "disease", "patient": "person", "lesion": "spot"}
    read = csv(tmp_path, out=tmp_path, **names, columns={"site": "region"}, dataset="clinic")
    row = read.rows.iloc[0].to_dict()
    expected = {"image_id": "a", "path": "a.jpg", "label": "acne", "patient_id": "P1"}
    expected |= {"lesion_id": "L1", "site": "cheek", "age": "40", "itch": "yes"}
    expected |= {"source": "real", "source_given": "X", "dataset": "clinic"}
    assert row == expected


def test_common_column_names_are_known(tmp_path):
    touch(tmp_path, "imgs/PAT_1.jpg")
    write(tmp_path, "patient_id,lesion_id,img_id,diagnostic\nP1,7,PAT_1.png,BCC\n")
    read = csv(tmp_path, out=tmp_path)
    assert column(read, "image_id") == ["PAT_1"]
    assert column(read, "label") == ["BCC"]
    assert column(read, "patient_id") == ["P1"]
    assert kinds(read) == []


def test_a_table_may_bring_its_own_ids(tmp_path):
    touch(tmp_path, "a/1.jpg", "b/1.jpg")
    write(tmp_path, "image_id,path,label\nX,a/1.jpg,x\nY,b/1.jpg,y\n")
    assert column(csv(tmp_path, out=tmp_path), "image_id") == ["X", "Y"]
    write(tmp_path, "image_id,path,label\nX,a/1.jpg,x\nX,b/1.jpg,y\n")
    with pytest.raises(TableError, match=r"row 3: image_id 'X' is already in row 2"):
        csv(tmp_path, out=tmp_path)


def test_missing_unlabelled_and_unlisted_images_are_findings(tmp_path):
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    write(tmp_path, "image,label\na,x\nb,\ngone,x\n")
    read = csv(tmp_path, out=tmp_path)
    assert column(read, "image_id") == ["a"]
    assert kinds(read) == ["missing", "unlabelled", "unlisted", "no_patient_ids"]
    assert read.findings["detail"][0].startswith("row 4")


@pytest.mark.parametrize("second", ["a.jpg", "a"])
def test_an_image_listed_twice_is_an_error_with_its_row(tmp_path, second):
    touch(tmp_path, "a.jpg", "b.jpg")
    write(tmp_path, f"image,label\na.jpg,x\nb,x\n{second},y\n")
    with pytest.raises(TableError, match=r"table\.csv row 4: .*row 2"):
        csv(tmp_path, out=tmp_path)


def test_an_ambiguous_name_is_missing_rather_than_guessed(tmp_path):
    touch(tmp_path, "p/1.jpg", "q/1.jpg", "q/2.jpg")
    write(tmp_path, "image,label\n1,x\n2,x\n")
    read = csv(tmp_path, out=tmp_path)
    assert column(read, "path") == ["q/2.jpg"]
    assert "missing" in kinds(read)


def test_a_path_that_leaves_the_folder_is_missing(tmp_path):
    touch(tmp_path / "data", "a.jpg")
    touch(tmp_path, "b.jpg")
    write(tmp_path / "data", f"image,label\na,x\n../b.jpg,x\n{tmp_path}/b.jpg,x\n")
    read = csv(tmp_path / "data", out=tmp_path)
    assert column(read, "path") == ["a.jpg"]
    assert kinds(read).count("missing") == 2


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_and_a_byte_order_mark_are_understood(tmp_path, separator):
    touch(tmp_path, "a.jpg")
    write(tmp_path, "\ufeff" + "image,label\na,x\n".replace(",", separator))
    assert column(csv(tmp_path, out=tmp_path), "label") == ["x"]


def test_a_missing_column_is_an_error_that_lists_the_columns(tmp_path):
    touch(tmp_path, "a.jpg")
    write(tmp_path, "image,verdict\na,x\n")
    with pytest.raises(TableError, match=r"no label column; pass source\.label=.*image, verdict"):
        csv(tmp_path, out=tmp_path)
    with pytest.raises(TableError, match="did you mean 'verdict'"):
        csv(tmp_path, out=tmp_path, label="verdickt")
    with pytest.raises(ConfigError, match="did you mean 'site'"):
        csv(tmp_path, out=tmp_path, label="verdict", columns={"sit": "verdict"})


def test_several_tables_need_a_name(tmp_path):
    touch(tmp_path, "a.jpg")
    write(write(tmp_path, "image,label\na,x\n"), "image,label\na,y\n", "other.csv")
    with pytest.raises(DataError, match=r"found other\.csv, table\.csv; pass source\.table="):
        csv(tmp_path, out=tmp_path)
    assert column(csv(tmp_path, out=tmp_path, table="other.csv"), "label") == ["y"]
    assert column(csv(tmp_path / "table.csv", out=tmp_path), "label") == ["x"]


@pytest.mark.parametrize("content", [b"", b"image,label\n\xff\xfe,x\n", b'image,label\n"a,x\n'])
def test_a_file_that_is_no_table_is_a_data_error(tmp_path, content):
    touch(tmp_path, "a.jpg")
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"table\.csv"):
        csv(tmp_path, out=tmp_path)


def test_ham10000_reads_the_official_table(tmp_path):
    touch(tmp_path, "HAM10000_images_part_1/ISIC_1.jpg", "HAM10000_images_part_2/ISIC_2.jpg")
    rows = "HAM_1,ISIC_1,nv,histo,60.0,male,back\nHAM_1,ISIC_2,df,consensus,60,unknown,unknown\n"
    read = ham10000(write(tmp_path, OFFICIAL + rows, "HAM10000_metadata.csv"), out=tmp_path)
    assert column(read, "age") == ["60", "60"]
    assert column(read, "lesion_id") == ["HAM_1", "HAM_1"]
    assert column(read, "label") == ["nv", "df"]
    assert column(read, "dx_basis") == ["histo", "consensus"]
    assert column(read, "sex") == ["male", ""]
    assert column(read, "site") == ["back", ""]
    assert set(column(read, "licence")) == {"CC BY-NC 4.0"}
    assert set(column(read, "dataset")) == {"ham10000"}
    assert "patient_id" not in read.rows
    assert kinds(read) == ["no_patient_ids"]


def test_ham10000_may_be_a_part_of_it(tmp_path):
    touch(tmp_path, "images/ISIC_1.jpg", "images/ISIC_2.jpg")
    rows = "".join(
        f"HAM_{i},ISIC_{i},{dx},histo,,,\n" for i, dx in ((1, "nv"), (2, "df"), (3, "nv"))
    )
    write(tmp_path, OFFICIAL + rows, "HAM10000_metadata.csv")
    assert "missing" in kinds(ham10000(tmp_path, out=tmp_path))
    assert column(ham10000(tmp_path, out=tmp_path, labels=["df"]), "image_id") == ["ISIC_2"]


def test_ham10000_refuses_another_table(tmp_path):
    with pytest.raises(DataError, match="holds no HAM10000_metadata"):
        ham10000(tmp_path, out=tmp_path)
    write(tmp_path, "image_id,dx\na,nv\n", "HAM10000_metadata.csv")
    with pytest.raises(TableError, match="no column 'lesion_id'"):
        ham10000(tmp_path, out=tmp_path)
    twice = OFFICIAL + "HAM_1,ISIC_1,nv,histo,,,\n" * 2
    write(tmp_path, twice, "HAM10000_metadata.csv")
    with pytest.raises(TableError, match="row 3"):
        ham10000(tmp_path, out=tmp_path)
