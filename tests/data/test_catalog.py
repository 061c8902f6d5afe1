import functools
import gzip
import hashlib
import http.server
import logging
import struct
import threading
import zipfile
from itertools import pairwise

import numpy as np
import pooch
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from mizumashi.data import catalog, readers
from mizumashi.data.readers import open_images
from mizumashi.errors import InputError


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path):
    """A web server on this machine: its folder and its address."""
    folder = tmp_path / "server"
    folder.mkdir()
    handler = functools.partial(QuietHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, no data folder and no proxy."""
    monkeypatch.delenv("MIZUMASHI_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    return tmp_path / "cache" / "mizumashi"


def mnist_like(folder, monkeypatch):
    """Four small files under MNIST's names, known by their checksums."""
    known = {}
    for name in catalog.MNIST_MD5:
        array = np.arange(4, dtype=np.uint8) % 2 if "labels" in name else np.ones((4, 2, 2), np.uint8)
        header = struct.pack(f">BBBB{array.ndim}i", 0, 0, 8, array.ndim, *array.shape)
        (folder / name).write_bytes(gzip.compress(header + array.tobytes()))
        known[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    monkeypatch.setattr(catalog, "MNIST_MD5", known)


def kocr_archive(path, count=3, extra=()):
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(count):
            archive.writestr(f"kocr-main/images/numbers/{index % 2}-{index}.png", b"png")
        archive.writestr("kocr-main/images/numbers/list-num.lst", b"list")
        archive.writestr("kocr-main/images/samples/3-x.png", b"elsewhere")
        for name in extra:
            archive.writestr(name, b"hostile")


def refusal(name, data_dir=None):
    with pytest.raises(InputError) as caught:
        catalog.find(name, data_dir)
    line = str(caught.value)
    assert "\n" not in line
    return line


# digits


def test_digits_are_scikit_learns_enlarged():
    digits = open_images("digits")
    source = load_digits()
    assert digits.name == "digits"
    assert digits.images.shape == (1797, 16, 16, 1)
    assert digits.class_names == tuple("0123456789")
    np.testing.assert_array_equal(digits.labels, source.target)
    # Each pixel became 2 x 2: their mean is near the pixel's value, and the whole image's is nearly equal.
    means = digits.images[..., 0].reshape(-1, 8, 2, 8, 2).mean(axis=(2, 4)) * 16 / 255
    assert np.corrcoef(means.ravel(), source.images.ravel())[0, 1] > 0.98
    assert np.abs(means.mean(axis=(1, 2)) - source.images.mean(axis=(1, 2))).max() < 0.5


def test_the_digits_test_part_begins_where_a_writers_form_begins():
    labels = "".join(map(str, load_digits().target))
    fixed = "95565098984177351"  # the form goes on so after 0 to 9 three times
    forms = [start for start in range(len(labels)) if labels.startswith(fixed, start)]
    start = catalog.DIGITS_TEST_START
    assert len(forms) == 14
    assert sum(form >= start for form in forms) == 3
    assert labels[start:].startswith("0123456789" * 3 + labels[30 : 30 + 60])
    assert labels[:start].endswith(labels[100:128])  # the form before ends as the first form, less two digits


def test_no_two_forms_look_like_one_hand():
    source = load_digits()
    starts = [0, 130, 256, 386, 516, 646, 776, 906, 1029, 1157, 1287, 1415, 1545, 1667, 1797]

    def class_means(indices):
        return np.array([source.data[indices][source.target[indices] == c].mean(axis=0) for c in range(10)])

    def distance(first, second):
        return np.linalg.norm(class_means(first) - class_means(second), axis=1).mean()

    forms = [np.arange(start, stop) for start, stop in pairwise(starts)]
    within = [distance(form[::2], form[1::2]) for form in forms]
    between = [distance(a, b) for i, a in enumerate(forms) for b in forms[:i]]
    assert max(within) < min(between)


# The data folder


def test_the_data_folder_is_named_by_argument_or_environment(tmp_path, monkeypatch):
    (tmp_path / "data" / "mnist").mkdir(parents=True)
    mnist_like(tmp_path / "data" / "mnist", monkeypatch)
    assert (
        catalog.find("mnist", str(tmp_path / "data"))
        == catalog.find("mnist", tmp_path / "data")
        == tmp_path / "data" / "mnist"
    )
    monkeypatch.setenv("MIZUMASHI_DATA", str(tmp_path / "data"))
    images = open_images("mnist")
    assert (images.name, len(images.train), len(images.test)) == ("mnist", 4, 4)


def test_files_in_the_data_folder_may_be_plain(tmp_path):
    (tmp_path / "mnist").mkdir()
    for name in catalog.MNIST_MD5:
        (tmp_path / "mnist" / name.removesuffix(".gz")).touch()
    assert catalog.find("mnist", tmp_path) == tmp_path / "mnist"


def test_what_the_data_folder_lacks_is_named(tmp_path, monkeypatch):
    (tmp_path / "mnist").mkdir()
    mnist_like(tmp_path / "mnist", monkeypatch)
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    assert "found no t10k-labels-idx1-ubyte.gz; put train-images" in refusal("mnist", tmp_path)
    (tmp_path / "faxocr").mkdir()
    assert f"found no numbers; put numbers (images/numbers of github.com/faxocr/kocr) into {tmp_path}/faxocr" in (
        refusal("faxocr", tmp_path)
    )
    assert f"found no data folder at {tmp_path / 'nowhere'}" in refusal("mnist", tmp_path / "nowhere")
    assert "(did you mean 'mnist'?)" in refusal("mnits")


def test_faxocr_is_always_preprocessed(tmp_path, monkeypatch):
    numbers = tmp_path / "faxocr" / "numbers"
    numbers.mkdir(parents=True)
    for name, size in (("0-a.png", (70, 69)), ("1-b.png", (90, 84))):
        Image.new("RGB", size, "white").save(numbers / name)
    monkeypatch.setattr(readers, "mnist_style", lambda image: np.full((28, 28), image.shape[0], np.uint8))
    images = open_images("faxocr", data_dir=tmp_path)
    assert images.name == "faxocr"
    assert images.images[:, 0, 0, 0].tolist() == [69, 84]


# Downloads


def test_mnist_is_downloaded_once_from_the_mirror_that_works(server, cache, monkeypatch):
    folder, address = server
    mnist_like(folder, monkeypatch)
    monkeypatch.setattr(catalog, "MNIST_MIRRORS", (address + "gone/", address))
    assert len(open_images("mnist").test) == 4
    monkeypatch.setattr(catalog, "MNIST_MIRRORS", (address + "gone/",))
    assert catalog.find("mnist") == cache / "mnist"


def test_a_wrong_checksum_is_refused_and_nothing_is_kept(server, cache, monkeypatch, tmp_path):
    folder, address = server
    mnist_like(folder, monkeypatch)
    monkeypatch.setattr(catalog, "MNIST_MIRRORS", (address,))
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(b"something else")
    line = refusal("mnist", tmp_path)
    assert f"cannot download mnist ({address}t10k-images-idx3-ubyte.gz: its checksum is not the known one)" in line
    assert f"into {tmp_path}/mnist" in line
    assert not (cache / "mnist" / "t10k-images-idx3-ubyte.gz").exists()


def test_without_network_the_line_says_where_to_put_the_files(monkeypatch, server):
    _, address = server
    monkeypatch.setattr(catalog, "MNIST_MIRRORS", ("http://127.0.0.1:9/",))
    assert refusal("mnist") == (
        "cannot download mnist (http://127.0.0.1:9/train-images-idx3-ubyte.gz: ConnectionError); "
        "put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, "
        "t10k-labels-idx1-ubyte.gz into FOLDER/mnist and name FOLDER with --data-dir or MIZUMASHI_DATA"
    )
    monkeypatch.setattr(catalog, "FAXOCR_ARCHIVE", f"{address}gone.zip")
    assert f"cannot download faxocr ({address}gone.zip: HTTPError); put numbers" in refusal("faxocr")


def test_a_failed_download_is_silent_and_leaves_nothing(cache, caplog, monkeypatch, server):
    def fail(url, file, pooch):
        raise ConnectionError

    _, address = server
    cache.parent.mkdir()
    monkeypatch.setattr(catalog, "MNIST_MIRRORS", (f"{address}one/", f"{address}two/"))
    monkeypatch.setattr(catalog, "FAXOCR_ARCHIVE", f"{address}gone.zip")
    monkeypatch.setattr(pooch.core, "choose_downloader", lambda *arguments, **options: fail)
    logger = pooch.get_logger()
    monkeypatch.setattr(logger, "handlers", [caplog.handler])
    logger.setLevel(logging.INFO)
    for name in ("mnist", "faxocr"):
        assert "ConnectionError" in refusal(name)
    assert list(cache.parent.iterdir()) == []
    assert caplog.text == ""
    assert logger.level == logging.INFO


def test_only_the_digits_are_taken_from_the_faxocr_archive(server, cache, monkeypatch):
    folder, address = server
    hostile = ["kocr-main/images/numbers/../../../4-x.png", "/images/numbers/5-x.png", "../images/numbers/6-x.png"]
    hostile += ["kocr-main/images/numbers/7-..\\x.png", "kocr-main/other/images/numbers/8-x.png"]
    kocr_archive(folder / "kocr.zip", extra=hostile)
    with zipfile.ZipFile(folder / "kocr.zip", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("kocr-main/images/numbers/9-bomb.png", bytes(2**20 + 1))
    monkeypatch.setattr(catalog, "FAXOCR_ARCHIVE", f"{address}kocr.zip")
    monkeypatch.setattr(catalog, "FAXOCR_LEAST", 3)
    path = catalog.find("faxocr")
    assert path == cache / "faxocr" / "numbers"
    found = sorted(file.relative_to(cache.parent).as_posix() for file in cache.parent.rglob("*") if file.is_file())
    home = "mizumashi/faxocr/numbers"
    assert found == [f"{home}/0-0.png", f"{home}/0-2.png", f"{home}/1-1.png", f"{home}/6-x.png"]
    (folder / "kocr.zip").unlink()
    assert catalog.find("faxocr") == path


@pytest.mark.parametrize("damage", ["few", "cut", "rotten"])
def test_a_damaged_faxocr_archive_leaves_nothing(server, cache, monkeypatch, damage):
    folder, address = server
    kocr_archive(folder / "kocr.zip", count=2 if damage == "few" else 3)
    content = (folder / "kocr.zip").read_bytes()
    if damage == "cut":
        (folder / "kocr.zip").write_bytes(content[:-40])
    if damage == "rotten":
        (folder / "kocr.zip").write_bytes(content.replace(b"png", b"pnx", 2))
    monkeypatch.setattr(catalog, "FAXOCR_ARCHIVE", f"{address}kocr.zip")
    monkeypatch.setattr(catalog, "FAXOCR_LEAST", 3)
    assert "cannot download faxocr" in refusal("faxocr")
    assert not cache.exists()


# The real sets


@pytest.mark.realdata
def test_mnist_is_mnist(data_folder):
    images = open_images("mnist", data_dir=data_folder)
    assert (len(images.train), len(images.test)) == (60_000, 10_000)
    assert images.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert images.class_names == tuple("0123456789")
    # The known MD5 sums of the unpacked files, less their headers' bytes.
    for part, header, md5 in [
        (images.train.images, (3, 60_000, 28, 28), "6bbc9ace898e44ae57da46a324031adb"),
        (images.train.labels.astype(np.uint8), (1, 60_000), "a25bea736e30d166cdddb491f175f624"),
        (images.test.images, (3, 10_000, 28, 28), "2646ac647ad5339dbf082846283269ea"),
        (images.test.labels.astype(np.uint8), (1, 10_000), "27ae3e4e09519cfbb04c329615203637"),
    ]:
        content = struct.pack(f">BBBB{len(header) - 1}i", 0, 0, 8, *header) + part.tobytes()
        assert hashlib.md5(content).hexdigest() == md5


@pytest.mark.realdata
def test_faxocr_is_faxocr(data_folder):
    images = open_images("faxocr", data_dir=data_folder)
    assert images.images.shape == (1861, 28, 28, 1)
    assert images.counts.tolist() == [403, 189, 282, 228, 208, 142, 132, 94, 87, 96]
    with pytest.raises(InputError, match="expected images of one size"):
        open_images(data_folder / "faxocr" / "numbers")
