"""Recipes: the same model from the published weights everywhere, or one sentence and nothing."""

import hashlib
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from device.errors import ModelError
from device.vision import Catalogue, default_directory
from tests.conftest import SHARED, absent
from tests.field import wire
from tools.field import recipe as recipes
from tools.field.main import main
from tools.field.quantised import stored
from tools.field.recipe import Gap, Published, Recipe, apply, encode, pack, read_recipe, unpack
from tools.field.values import Value, compute, factor, number, source
from tools.lab.tflite import read

TENSORS = wire.some()
PUBLISHED = wire.onnx(TENSORS)
SCALES = np.array([0.01, 0.02, 0.03, 0.04], np.float32)
SLOPES = np.array([1.0, 2.0, 0.5, 1.5], np.float16)
HEAD = 32
"""Bytes before the scales; the weights follow the scales, the floats follow the weights."""
WEIGHTS = (4, 3, 3, 3)


def template():
    return bytes(range(HEAD)) + SCALES.tobytes() + bytes(108) + bytes(16) + b"end"


def a_recipe(**changes):
    """A recipe with an int8 gap and a float one, made by hand."""
    weights = (source("first.weight") / factor("s").reshape(-1, 1, 1, 1)).transpose(0, 2, 3, 1)
    bias = (source("first.bias") - number(1.0)) / factor("s")
    parts = {
        "published": Published("small.onnx", hashlib.sha256(PUBLISHED).hexdigest(), "onnx"),
        "factors": {"s": pack(SLOPES.tobytes())},
        "gaps": [
            Gap(HEAD + 16, WEIGHTS, "int8", weights, scales=HEAD),
            Gap(HEAD + 16 + 108, (4,), "float32", bias),
        ],
        "template": pack(template()),
    }
    return Recipe(**(parts | changes))


def expected():
    """The model that the recipe must make, computed without the recipe's code."""
    weights = TENSORS["first.weight"].astype(np.float64) / SLOPES.reshape(-1, 1, 1, 1)
    whole = np.clip(
        np.rint(weights.transpose(0, 2, 3, 1) / SCALES.astype(float).reshape(-1, 1, 1, 1)),
        -127,
        127,
    )
    bias = ((TENSORS["first.bias"].astype(np.float64) - 1) / SLOPES).astype("<f4")
    start = bytes(range(HEAD)) + SCALES.tobytes()
    return start + whole.astype(np.int8).tobytes() + bias.tobytes() + b"end"


MODEL = expected()


def test_a_recipe_fills_every_gap_and_leaves_the_rest():
    assert apply(a_recipe(), PUBLISHED) == MODEL


def test_a_recipe_survives_its_own_format(tmp_path):
    file = tmp_path / "small.json"
    file.write_bytes(encode(a_recipe()))
    assert read_recipe(file) == a_recipe()
    assert len(file.read_text().splitlines()) == 4
    json.loads(file.read_text())


@pytest.mark.parametrize(
    "data", [b"", PUBLISHED[:-1], PUBLISHED + b"\0", wire.onnx(wire.some(seed=1))]
)
def test_another_published_file_is_refused(data):
    with pytest.raises(ModelError, match=r"small\.onnx is not the published file"):
        apply(a_recipe(), data)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"template": "?"}, "is damaged"),
        ({"template": pack(template())[:-8]}, "is damaged"),
        ({"template": pack(template()[:100])}, "a gap is too long"),
        ({"factors": {}}, "has no tensor 's'"),
        ({"gaps": [Gap(0, (5,), "float32", source("first.bias"))]}, "does not fit"),
        ({"gaps": [Gap(0, (4,), "float32", source("first.nothing"))]}, "has no tensor"),
        ({"gaps": [Gap(0, (4,), "int64", source("first.bias"))]}, "not stored in models"),
        ({"gaps": [Gap(0, (4,), "float32", Value("eval", (source("first.bias"),)))]}, "no step"),
        ({"gaps": [Gap(0, (4,), "float32", source("first.bias").transpose(1, 0))]}, "shape"),
        ({"gaps": [Gap(0, (4,), "int8", source("first.bias"), scales=10_000)]}, "does not fit"),
        (
            {"gaps": [Gap(0, (4,), "float32", source("first.bias") / number(0.0))]},
            "not finite",
        ),
    ],
)
def test_a_recipe_that_does_not_fit_is_one_sentence(changes, why):
    with pytest.raises(ModelError, match=why):
        apply(a_recipe(**changes), PUBLISHED)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"published": 3}'])
def test_a_file_that_is_no_recipe_is_one_sentence(tmp_path, content):
    file = tmp_path / "small.json"
    file.write_bytes(content)
    with pytest.raises(ModelError, match="is no recipe"):
        read_recipe(file)
    with pytest.raises(ModelError, match="cannot be read"):
        read_recipe(tmp_path / "none.json")


def test_an_expression_that_is_too_deep_is_one_sentence(tmp_path):
    file = tmp_path / "small.json"
    deep = '["negate",[' * 100_000 + '["source",[],"x",[]]' + "]]" * 100_000
    file.write_text(encode(a_recipe()).decode().replace('["source",[],"first.bias",[]]', deep))
    with pytest.raises(ModelError):
        read_recipe(file)


def test_packed_data_that_would_fill_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(recipes, "_MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="incomplete"):
        unpack(pack(bytes(1001)))
    assert unpack(pack(bytes(999))) == bytes(999)


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (source("first.bias") + source("first.bias"), TENSORS["first.bias"].astype(float) * 2),
        (-source("first.bias") * number(3.0), TENSORS["first.bias"].astype(float) * -3),
        ((source("first.bias") * source("first.bias")).root(), np.abs(TENSORS["first.bias"])),
        (source("first.weight").reshape(0, -1).transpose(1, 0), "reshaped"),
        (source("first.weight").total(3).total(2).total(1), "total"),
    ],
)
def test_steps_do_what_they_say(value, result):
    weights = TENSORS["first.weight"].astype(np.float64)
    if isinstance(result, str):
        result = {"reshaped": weights.reshape(4, -1).T, "total": weights.sum((1, 2, 3))}[result]
    np.testing.assert_allclose(compute(value, TENSORS, {}), result, rtol=1e-12)


@pytest.mark.parametrize(
    ("dtype", "values", "whole"),
    [
        ("int8", [0.0, 0.5, 1.5, -2.5, 126.4, 127.6, -300.0], [0, 0, 2, -2, 126, 127, -127]),
        ("int32", [0.5, -1.5, 1e12], [0, -2, 2**31 - 1]),
    ],
)
def test_whole_numbers_are_rounded_to_even_and_cut(dtype, values, whole):
    found = stored(np.array(values), dtype, np.ones(1, np.float32), 0)
    assert found.dtype == dtype
    assert found.tolist() == whole


@pytest.fixture
def field(tmp_path, capsys):
    """A folder with a catalogue of one model that comes by recipe; `fetch(mirror)` → code, said."""
    folder = tmp_path / "models"
    folder.mkdir()
    entry = {
        "name": "small",
        "role": "detector",
        "file": "operational/small.tflite",
        "sha256": hashlib.sha256(MODEL).hexdigest(),
        "collection": "operational",
        "licence": "MIT",
        "training_data": "none",
        "card": "cards/small.md",
        "recipe": "recipes/small.json",
    }
    lines = [f'{key} = "{value}"' for key, value in entry.items()]
    sha256 = hashlib.sha256(PUBLISHED).hexdigest()
    contract = 'input_shape = [1, 4, 4, 3]\ninput_dtype = "uint8"\ncolour = "BGR"'
    (folder / "models.toml").write_text(
        "[[model]]\n" + "\n".join(lines) + f'\nupstream.sha256 = "{sha256}"\n'
        'upstream.url = "http://127.0.0.1:9/small.onnx"\n'
        f"[model.contract]\n{contract}\noutput_shapes = [[1, 2]]\n"
    )
    (folder / "recipes").mkdir()
    (folder / "recipes/small.json").write_bytes(encode(a_recipe()))

    def fetch(mirror=None):
        source = ["--from", str(mirror)] if mirror else []
        code = main(["models", "fetch", "--directory", str(folder), *source])
        said = capsys.readouterr()
        return code, said.out + said.err

    fetch.folder = folder
    fetch.here = lambda: sorted(path.name for path in (folder / "operational").glob("*"))
    return fetch


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "mirror/upstream"
    folder.mkdir(parents=True)
    (folder / "small.onnx").write_bytes(PUBLISHED)
    return folder.parent


def test_fetch_makes_the_model_from_the_published_file_of_a_mirror(field, mirror):
    code, said = field(mirror)
    assert code == 0
    assert "small: made from small.onnx, SHA-256 right" in said
    assert field.here() == ["small.tflite"]
    assert (field.folder / "operational/small.tflite").read_bytes() == MODEL


def test_fetch_takes_the_finished_file_where_a_mirror_has_it(field, mirror):
    (mirror / "tflite").mkdir()
    (mirror / "tflite/small.tflite").write_bytes(MODEL)
    (mirror / "upstream/small.onnx").unlink()
    code, said = field(mirror)
    assert code == 0
    assert "small: fetched, SHA-256 right" in said
    assert field.here() == ["small.tflite"]


def test_fetch_makes_the_model_where_a_mirror_has_another_file_of_its_name(field, mirror):
    (mirror / "small.tflite").write_bytes(b"an older conversion")
    code, said = field(mirror)
    assert code == 0
    assert "made from small.onnx" in said
    assert (field.folder / "operational/small.tflite").read_bytes() == MODEL


@pytest.mark.parametrize("wrong", [b"", b"<html>", PUBLISHED[:-1], PUBLISHED + b"x"])
def test_a_wrong_or_cut_published_file_is_said_and_leaves_nothing(field, mirror, wrong):
    (mirror / "upstream/small.onnx").write_bytes(wrong)
    code, said = field(mirror)
    assert code == 5
    assert f"small from {mirror} is not the file that models.toml names" in said
    assert len(said.strip().splitlines()) == 1
    assert field.here() == []


def test_a_mirror_without_either_is_said(field, mirror):
    (mirror / "upstream/small.onnx").unlink()
    code, said = field(mirror)
    assert code == 5
    assert f"The mirror {mirror} does not hold small.onnx." in said
    assert field.here() == []


def test_without_a_mirror_the_published_address_is_asked(field):
    code, said = field()
    assert code == 5
    assert "small could not be fetched" in said
    assert field.here() == []


def test_a_recipe_of_another_version_is_said_and_leaves_nothing(field, mirror):
    other = a_recipe(template=pack(template().replace(b"end", b"END")))
    (field.folder / "recipes/small.json").write_bytes(encode(other))
    code, said = field(mirror)
    assert code == 5
    assert "The recipe of small made another file than models.toml names" in said
    assert field.here() == []


def test_a_recipe_that_is_not_there_is_said(field, mirror):
    (field.folder / "recipes/small.json").unlink()
    code, said = field(mirror)
    assert code == 5
    assert "cannot be read" in said


def test_the_list_says_how_a_model_comes(field, mirror, capsys):
    assert main(["models", "list", "--directory", str(field.folder)]) == 1
    assert "by recipe" in capsys.readouterr().out
    field(mirror)
    assert main(["models", "list", "--directory", str(field.folder)]) == 0


def ours():
    """The recipes of this repository, by the name of the model."""
    folder = default_directory()
    entries = [one for one in Catalogue.read(folder).entries if one.recipe]
    return [pytest.param(one, id=one.name) for one in entries]


@pytest.mark.parametrize("entry", ours())
def test_our_recipes_make_the_models_of_the_catalogue(entry):
    recipe = read_recipe(default_directory() / entry.recipe)
    file = SHARED / "models/upstream" / recipe.published.file
    if not file.is_file():
        absent(f"the published models are not at {file.parent}")
    assert recipe.published.sha256 == entry.upstream.sha256
    assert hashlib.sha256(apply(recipe, file.read_bytes())).hexdigest() == entry.sha256


@pytest.mark.parametrize("entry", ours())
def test_our_recipes_hold_no_weights(entry):
    """Every byte that comes from a published file is zero; what else is constant is our graph's."""
    recipe = read_recipe(default_directory() / entry.recipe)
    template = unpack(recipe.template)
    for gap in recipe.gaps:
        size = int(np.prod(gap.shape)) * np.dtype(gap.dtype).itemsize
        assert not any(template[gap.start : gap.start + size])
    for tensor in read(template).tensors:
        if tensor.data and tensor.dtype != "int32":
            content = template[slice(*tensor.data)]
            assert not any(content) or len(content) <= 4, tensor.name


def test_the_catalogue_of_a_wheel_finds_its_recipes():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert shared["models/recipes"] == "share/passerby/models/recipes"
