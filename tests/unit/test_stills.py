"""Still pictures: what is read, what is refused with a sentence, and a folder that goes on."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from device.capture import stills
from device.capture.stills import StillsSource, pictures_in, read_still, shrunk
from device.errors import CameraError, PictureError

BLUE, GREEN, RED = (250, 10, 5), (10, 240, 20), (5, 20, 230)


def _scene(width=64, height=48):
    """Four coloured quarters, (h, w, 3) uint8 BGR: red and green above, blue and grey below."""
    scene = np.full((height, width, 3), 128, np.uint8)
    scene[: height // 2, : width // 2] = RED
    scene[: height // 2, width // 2 :] = GREEN
    scene[height // 2 :, : width // 2] = BLUE
    return scene


def _image():
    return Image.fromarray(_scene()[:, :, ::-1].copy())


def _quarters(pixels):
    """The colours in the middle of the four quarters, row by row."""
    height, width, _ = pixels.shape
    return [
        pixels[row, column].astype(int).tolist()
        for row in (height // 4, 3 * height // 4)
        for column in (width // 4, 3 * width // 4)
    ]


def _expected():
    return [list(RED), list(GREEN), list(BLUE), [128, 128, 128]]


def _near(found, expected, tolerance):
    return np.abs(np.array(found) - np.array(expected)).max() <= tolerance


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.png", {}, 0),
        ("a.bmp", {}, 0),
        ("a.tiff", {}, 0),
        ("a.webp", {"lossless": True}, 0),
        ("a.jpg", {"quality": 98, "subsampling": 0}, 4),
    ],
)
def test_each_format_is_read_as_bgr(tmp_path, name, options, tolerance):
    _image().save(tmp_path / name, **options)
    pixels = read_still(tmp_path / name)
    assert pixels.shape == (48, 64, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable
    assert _near(_quarters(pixels), _expected(), tolerance)


def test_a_palette_is_resolved(tmp_path):
    _image().quantize(16).save(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").mode == "P"
    assert _near(_quarters(read_still(tmp_path / "a.png")), _expected(), 8)


def test_rgba_loses_its_transparency(tmp_path):
    image = _image().convert("RGBA")
    image.putalpha(40)
    image.save(tmp_path / "a.png")
    assert _near(_quarters(read_still(tmp_path / "a.png")), _expected(), 0)


def test_cmyk_is_converted(tmp_path):
    image = _image().convert("CMYK")
    image.save(tmp_path / "a.jpg", quality=98)
    expected = np.asarray(image.convert("RGB"))[:, :, ::-1]
    assert Image.open(tmp_path / "a.jpg").mode == "CMYK"
    assert _near(_quarters(read_still(tmp_path / "a.jpg")), _quarters(expected), 8)


def test_grey_and_black_and_white_become_bgr(tmp_path):
    for mode in ("L", "1", "LA"):
        _image().convert(mode).save(tmp_path / "a.png")
        pixels = read_still(tmp_path / "a.png")
        assert pixels.shape == (48, 64, 3)
        assert (pixels == pixels[:, :, :1]).all()


def test_sixteen_bits_of_grey_are_scaled_not_clipped(tmp_path):
    levels = np.linspace(0, 65535, 64).astype(np.uint16)
    Image.fromarray(np.tile(levels, (48, 1))).save(tmp_path / "a.png")
    pixels = read_still(tmp_path / "a.png")
    assert np.array_equal(pixels[0, :, 0], (levels >> 8).astype(np.uint8))
    assert (pixels == pixels[:1, :, :1]).all()


ORIENTATIONS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: np.rot90,
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_turned_photograph_stands_upright(tmp_path, orientation):
    """EXIF says how the camera was held; what is stored is turned the other way."""
    stored = np.ascontiguousarray(ORIENTATIONS[orientation](_scene())[:, :, ::-1])
    image = Image.fromarray(stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_still(tmp_path / "a.png"), _scene())


# --- refused with a sentence ---------------------------------------------------------------------


def _refused(path, sentence):
    with pytest.raises(PictureError, match=sentence) as caught:
        read_still(path)
    assert str(path) in str(caught.value)


def test_a_missing_file(tmp_path):
    _refused(tmp_path / "a.jpg", "does not exist")


def test_an_empty_file(tmp_path):
    (tmp_path / "a.jpg").touch()
    _refused(tmp_path / "a.jpg", "is empty")


def test_text_named_as_a_picture(tmp_path):
    (tmp_path / "a.jpg").write_text("Dear technician,\n" * 50)
    _refused(tmp_path / "a.jpg", r"is not a picture \(JPEG, PNG, BMP, TIFF and WebP are read\)")


def test_a_format_that_is_not_ours(tmp_path):
    _image().save(tmp_path / "a.gif")
    (tmp_path / "a.gif").rename(tmp_path / "a.png")
    _refused(tmp_path / "a.png", "is not a picture")


def test_a_folder(tmp_path):
    _refused(tmp_path, "cannot be read")


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.bmp", "a.webp", "a.tiff"])
def test_a_cut_file_is_refused_not_filled_up_with_grey(tmp_path, name, kept):
    path = tmp_path / name
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    _refused(path, "damaged or cut|not a picture")


def test_no_cut_of_a_jpeg_escapes_as_another_error(tmp_path):
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    _image().save(path, exif=exif)
    whole = path.read_bytes()
    for length in range(1, len(whole) - 2, 7):
        path.write_bytes(whole[:length])
        _refused(path, "damaged or cut|not a picture")


@pytest.mark.parametrize("byte", [0, 255])
def test_a_broken_exif_block_neither_raises_nor_prints(tmp_path, capfd, byte):
    """Pillow warns of it on the standard error; here warnings are errors."""
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a long description " * 20
    _image().save(path, exif=exif)
    broken = bytearray(path.read_bytes())
    start = broken.index(b"Exif\0\0") + 6
    broken[start + 8 : start + 34] = bytes([byte]) * 26
    path.write_bytes(broken)
    assert read_still(path).shape == (48, 64, 3)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("width", "height"), [(1, 1), (23, 400), (400, 23)])
def test_a_picture_too_small_for_a_face(tmp_path, width, height):
    Image.new("RGB", (width, height)).save(tmp_path / "a.png")
    _refused(tmp_path / "a.png", f"{width}×{height} pixels: too small to show a face")


def test_the_smallest_picture_is_read(tmp_path):
    Image.new("RGB", (24, 24)).save(tmp_path / "a.png")
    assert read_still(tmp_path / "a.png").shape == (24, 24, 3)


def _png_header(width, height):
    """A PNG that promises a size and holds nothing."""

    def chunk(kind, data):
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("width", "height", "sentence"),
    [
        (7100, 7100, "has 50 megapixels, the limit is 50; make it smaller first"),
        (10_000, 10_000, "has 100 megapixels, the limit is 50; make it smaller first"),
        (60_000, 60_000, "is larger than 50 megapixels; make it smaller first"),
    ],
)
def test_a_huge_picture_is_refused_by_its_header(tmp_path, width, height, sentence):
    (tmp_path / "a.png").write_bytes(_png_header(width, height))
    _refused(tmp_path / "a.png", sentence)


def test_a_huge_picture_is_not_decoded(tmp_path, monkeypatch):
    Image.new("1", (10_000, 10_000)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("it was decoded"))
    _refused(tmp_path / "a.png", "100 megapixels")


def test_the_limit_is_in_megapixels_not_in_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(stills, "MEGAPIXELS", 0.01)
    Image.new("L", (100, 100)).save(tmp_path / "fits.png")
    Image.new("L", (101, 100)).save(tmp_path / "large.png")
    assert read_still(tmp_path / "fits.png").shape == (100, 100, 3)
    _refused(tmp_path / "large.png", "megapixels")


# --- a folder as a source ------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """Three pictures of growing brightness, one bad file in between, and things to pass over."""
    for name, level in (("a.png", 40), ("c.JPG", 80), ("d.bmp", 120)):
        Image.new("L", (64, 48), level).save(tmp_path / name)
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff\xe0 not quite a picture")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "e.png").mkdir()
    return tmp_path


def _levels(source):
    levels = []
    while (frame := source.read(1.0)) is not None:
        levels.append(int(frame.main.pixels[0, 0, 0]))
        frame.release()
    return levels


def test_a_bad_file_is_reported_and_the_others_go_on(folder):
    unreadable = []
    source = StillsSource(folder, on_unreadable=unreadable.append)
    source.open()
    assert _levels(source) == [40, 80, 120]
    assert [type(error) for error in unreadable] == [PictureError]
    assert str(folder / "b.jpg") in str(unreadable[0])


def test_stills_are_numbered_and_as_far_apart_as_the_frame_rate_says(folder):
    source = StillsSource(folder, frames_per_second=4.0)
    source.open()
    frames = [source.read(1.0) for _ in range(3)]
    assert [(f.number, f.seconds) for f in frames] == [(0, 0.0), (1, 0.25), (2, 0.5)]
    assert source.read(1.0) is None


def test_no_still_is_dropped():
    assert StillsSource.live is False


def test_the_small_picture_keeps_the_shape(folder):
    source = StillsSource(folder, lores_width=32)
    source.open()
    frame = source.read(1.0)
    assert frame.main.pixels.shape == (48, 64, 3)
    assert frame.lores.pixels.shape == (24, 32, 3)


@pytest.mark.parametrize("lores_width", [32, 640])
def test_release_wipes_both_pictures(folder, lores_width):
    source = StillsSource(folder, lores_width=lores_width)
    source.open()
    frame = source.read(1.0)
    main, lores = frame.main.pixels, frame.lores.pixels
    assert main.all()
    assert lores.all()
    frame.release()
    assert not main.any()
    assert not lores.any()


def test_pictures_in_lists_files_by_name_and_nothing_below(folder):
    (folder / "below").mkdir()
    Image.new("L", (64, 48)).save(folder / "below/f.png")
    assert [path.name for path in pictures_in(folder)] == ["a.png", "b.jpg", "c.JPG", "d.bmp"]


def test_an_empty_folder_is_a_sentence(tmp_path):
    with pytest.raises(CameraError, match=r"holds no pictures \(.bmp, .jpeg, .jpg"):
        StillsSource(tmp_path).open()


@pytest.mark.parametrize("name", ["missing", "a.png"])
def test_what_is_no_folder_is_a_sentence(folder, name):
    with pytest.raises(CameraError, match=r"is no folder; camera\.path must name a folder"):
        StillsSource(folder / name).open()


def test_a_folder_of_bad_files_only_ends_after_reporting_them(tmp_path):
    for name in ("a.jpg", "b.png"):
        (tmp_path / name).write_bytes(b"bad")
    unreadable = []
    source = StillsSource(tmp_path, on_unreadable=unreadable.append)
    source.open()
    assert source.read(1.0) is None
    assert len(unreadable) == 2


def test_closing_ends_the_list_and_opening_starts_it_again(folder):
    source = StillsSource(folder)
    source.open()
    source.read(1.0).release()
    source.close()
    source.close()
    assert source.read(1.0) is None
    source.open()
    assert _levels(source) == [40, 80, 120]


def test_shrinking_never_enlarges():
    pixels = _scene()
    assert shrunk(pixels, 64) is pixels
    assert shrunk(pixels, 640) is pixels
    assert shrunk(pixels, 16).shape == (12, 16, 3)
    assert shrunk(_scene(400, 2), 16).shape == (1, 16, 3)
