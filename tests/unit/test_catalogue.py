"""No model is opened but the one that `models.toml` names, byte for byte and shape for shape."""

import hashlib
import re
import shutil

import pytest

from device.errors import ModelError
from device.vision import Catalogue, default_directory
from tests.conftest import ROOT

NAMES = [
    "yunet-s-640x480",
    "yunet-s-320x256",
    "yunet-s-1280x736",
    "omz-0095",
    "omz-0095-float",
    "lightqnet-025",
    "lightqnet-050",
    "minifasnet-v2",
    "minifasnet-v2-int8",
    "passerby-detector-640x480",
    "passerby-detector-320x256",
    "passerby-embedder",
]
FAKE = """
[[model]]
name = "fake"
role = "detector"
file = "models/fake.tflite"
sha256 = "{sha256}"
collection = "operational"
licence = "MIT"
training_data = "none"
card = "cards/fake.md"
[model.contract]
input_shape = [1, 4, 4, 3]
input_dtype = "uint8"
colour = "BGR"
output_shapes = [[1, 2]]
"""


@pytest.fixture(scope="module")
def own():
    """The repository's own catalogue; its model files need not be here."""
    return Catalogue.read(ROOT / "models")


def fake(folder, content=b"not a model", sha256=None):
    """A catalogue of one file. sha256: what it claims; by default the truth."""
    digest = sha256 or hashlib.sha256(content).hexdigest()
    (folder / "models.toml").write_text(FAKE.format(sha256=digest), "utf-8")
    (folder / "models").mkdir()
    (folder / "models/fake.tflite").write_bytes(content)
    catalogue = Catalogue.read(folder)
    return catalogue, catalogue.entry("fake", "detector")


def altered(catalogue, folder, old, new):
    """A copy of the real catalogue in which every `old` reads `new`; the models are linked."""
    text = (catalogue.directory / "models.toml").read_text("utf-8")
    assert old in text
    (folder / "models.toml").write_text(text.replace(old, new), "utf-8")
    for entry in catalogue.entries:
        link = folder / entry.file
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(catalogue.path(entry).resolve())
    return Catalogue.read(folder)


def test_the_repositorys_catalogue_is_the_one_that_is_used():
    assert default_directory() == ROOT / "models"


def test_the_repositorys_catalogue_holds_the_models_that_are_documented(own):
    assert [entry.name for entry in own.entries] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_hash_is_sixty_four_hexadecimal_digits(own, name):
    (entry,) = (entry for entry in own.entries if entry.name == name)
    hashes = [entry.sha256, entry.edge_tpu_sha256, entry.upstream and entry.upstream.sha256]
    given = [digest for digest in hashes if digest is not None]
    assert entry.sha256 in given
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in given)


@pytest.mark.parametrize("name", NAMES)
def test_every_model_has_its_card(own, name):
    (entry,) = (entry for entry in own.entries if entry.name == name)
    card = own.directory / entry.card
    assert card.is_file()
    said = _paragraphs(card.read_text("utf-8"))
    for word in ("Task", "Origin", "Files", "Training data", "Input, output", "Measured", "Limits"):
        assert any(start.startswith(word) and len(said[start]) > 40 for start in said), word
    assert f"`{entry.name}` `{entry.sha256[:12]}…`" in said["Files."]
    assert entry.licence in said["Files."]
    (measured,) = (text for start, text in said.items() if start.startswith("Measured"))
    assert re.search(r"[0-9] ?%|[0-9]\.[0-9]", measured), "no figure"


def _paragraphs(card):
    """Return what follows each bold beginning of a card's paragraphs, up to the next one."""
    parts = re.split(r"^\*\*(.+?)\*\*", card, flags=re.MULTILINE)
    return {
        start: " ".join(text.split()) for start, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_every_embedder_has_a_score_scale_whose_bands_rise(own):
    embedders = [entry for entry in own.entries if entry.role == "embedder"]
    assert embedders
    for entry in embedders:
        strong, very_strong = entry.scores.bands
        assert 0 < entry.scores.threshold < strong < very_strong < 1
        assert 0 < entry.scores.second_crop_from < entry.scores.threshold
        assert 0 < entry.scores.second_look_from < entry.scores.second_crop_from


def test_every_attack_detector_says_how_it_looks_and_judges(own):
    detectors = [entry for entry in own.entries if entry.role == "attack-detection"]
    assert detectors
    for entry in detectors:
        ((_, classes),) = entry.contract.output_shapes
        assert entry.live.live_class < classes


def test_an_entry_is_found_by_name_and_role(own):
    assert own.entry("omz-0095", "embedder").file.endswith(".tflite")


def test_an_unknown_model_is_named_with_those_that_there_are(own):
    with pytest.raises(ModelError) as caught:
        own.entry("yunet", "detector")
    assert str(caught.value) == (
        f'No detector is called "yunet" in {own.directory / "models.toml"}: '
        "yunet-s-640x480, yunet-s-320x256, yunet-s-1280x736, passerby-detector-640x480, "
        "passerby-detector-320x256."
    )


def test_a_model_of_another_role_is_not_taken(own):
    with pytest.raises(ModelError, match='No embedder is called "yunet-s-640x480"'):
        own.entry("yunet-s-640x480", "embedder")


def test_a_model_that_is_not_here_is_a_sentence_with_the_remedy(tmp_path):
    catalogue, entry = fake(tmp_path)
    catalogue.path(entry).unlink()
    with pytest.raises(ModelError, match=r"Model fake is not here .*`passerby-field models fetch"):
        catalogue.verified_path(entry)


def test_the_right_file_is_verified(tmp_path):
    catalogue, entry = fake(tmp_path)
    assert catalogue.verified_path(entry) == tmp_path / "models/fake.tflite"


@pytest.mark.parametrize("content", [b"", b"not a modem", b"not a model\n"])
def test_a_file_with_another_hash_is_refused_by_name(tmp_path, content):
    catalogue, entry = fake(tmp_path)
    catalogue.path(entry).write_bytes(content)
    with pytest.raises(ModelError, match="Model fake is not the file that"):
        catalogue.open(entry, 1, edge_tpu=False)


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path):
    catalogue, entry = fake(tmp_path)
    catalogue.path(entry).unlink()
    catalogue.path(entry).mkdir()
    with pytest.raises(ModelError, match="Model fake is not here"):
        catalogue.verified_path(entry)


def test_a_file_with_the_right_hash_that_is_no_model_is_a_sentence(tmp_path):
    catalogue, entry = fake(tmp_path)
    with pytest.raises(ModelError, match=r"No interpreter can open fake\.tflite"):
        catalogue.open(entry, 1, edge_tpu=False)


def test_a_missing_catalogue_is_a_sentence_with_its_path(tmp_path):
    with pytest.raises(ModelError, match=r"models\.directory must name the folder") as caught:
        Catalogue.read(tmp_path / "none")
    assert str(tmp_path / "none/models.toml") in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[[model", "cannot be read"),
        (b"# caf\xe9", "cannot be read"),
        (b"", "is no catalogue of models"),
        (b"model = 3", "is no catalogue of models"),
        (b"[[model]]\nname = 'a'", "is no catalogue of models"),
        (FAKE.encode() + b"[[models]]", "is no catalogue of models"),
        (FAKE.replace("BGR", "GBR").encode(), "is no catalogue of models"),
        (FAKE.replace("[1, 4, 4, 3]", "[4, 4, 3]").encode(), "is no catalogue of models"),
    ],
)
def test_a_damaged_catalogue_is_refused_by_name(tmp_path, content, reason):
    (tmp_path / "models.toml").write_bytes(content)
    with pytest.raises(ModelError, match=reason) as caught:
        Catalogue.read(tmp_path)
    assert str(tmp_path / "models.toml") in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_the_real_models_fit_their_contracts(models, name):
    (entry,) = (entry for entry in models.entries if entry.name == name)
    network = models.open(entry, 1, edge_tpu=False)
    assert network.input_shape == entry.contract.input_shape


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("[1, 128, 128, 3]", "[1, 112, 112, 3]", r"takes uint8 \(1, 128, 128, 3\), its contract"),
        ('input_dtype = "uint8"', 'input_dtype = "float32"', "says float32"),
        ("[[1, 256]]", "[[1, 512]]", r"returns shapes \[\[1, 256\]\]"),
        ("[[1, 256]]", "[[1, 256], [1, 256]]", r"returns shapes \[\[1, 256\]\]"),
    ],
)
def test_a_model_that_does_not_fit_its_contract_is_refused_by_name(
    models, tmp_path, old, new, complaint
):
    catalogue = altered(models, tmp_path, old, new)
    entry = catalogue.entry("omz-0095", "embedder")
    with pytest.raises(ModelError, match=complaint) as caught:
        catalogue.open(entry, 1, edge_tpu=False)
    assert "Model omz-0095" in str(caught.value)


def test_the_order_of_the_outputs_in_the_contract_does_not_matter(models, tmp_path):
    catalogue = altered(models, tmp_path, "[1, 300, 4], [1, 300, 10]", "[1, 300, 10], [1, 300, 4]")
    network = catalogue.open(catalogue.entry("yunet-s-640x480", "detector"), 1, edge_tpu=False)
    assert (1, 300, 10) in network.output_shapes


def test_one_changed_bit_in_a_real_model_is_refused_by_name(models, tmp_path):
    entry = models.entry("omz-0095", "embedder")
    copy = tmp_path / entry.file
    copy.parent.mkdir()
    shutil.copyfile(models.path(entry), copy)
    with copy.open("r+b") as file:
        file.seek(copy.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(ModelError, match="Model omz-0095 is not the file"):
        Catalogue(tmp_path, models.entries).open(entry, 1, edge_tpu=False)
