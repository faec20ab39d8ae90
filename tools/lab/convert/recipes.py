"""Making a recipe of a conversion, and proving that it repeats it."""

from device.errors import ModelError
from tools.field.recipe import KEPT, Gap, Published, Recipe, apply, pack
from tools.field.values import Doubles, Value
from tools.lab.convert.graph import Graph
from tools.lab.tflite import Tensor, read


def make_recipe(
    model: bytes, graph: Graph, factors: dict[str, Doubles], published: Published
) -> Recipe:
    """Return the recipe of a file that `writer.write` made of this graph."""
    written = read(model)
    values = _values(graph)
    gaps = [_gap(one, values[one.name]) for one in written.tensors if one.name in values]
    template = bytearray(model)
    for tensor in written.tensors:
        if tensor.name in values and tensor.data:
            start, end = tensor.data
            template[start:end] = bytes(end - start)
    recorded = {name: pack(one.astype(KEPT).tobytes()) for name, one in sorted(factors.items())}
    return Recipe(published, recorded, gaps, pack(bytes(template)))


def _values(graph: Graph) -> dict[str, Value]:
    """Return what comes from the published file, by the name of the constant."""
    found = {}
    for node in graph.nodes:
        if node.weights is not None:
            found[f"{node.name}/weights"] = node.weights
        if node.bias is not None:
            found[f"{node.name}/bias"] = node.bias
    return found


def _gap(tensor: Tensor, value: Value) -> Gap:
    return Gap(
        start=tensor.data[0] if tensor.data else 0,
        shape=tensor.shape,
        dtype=tensor.dtype,
        value=value,
        scales=tensor.scales_at,
        axis=tensor.axis,
    )


def check_recipe(recipe: Recipe, data: bytes, model: bytes) -> None:
    """Raise ModelError unless the recipe makes exactly this model of the published file."""
    if apply(recipe, data) != model:
        raise ModelError("The recipe makes another file than the conversion: this is a fault.")
