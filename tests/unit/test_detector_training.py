"""The student detector: needs PyTorch, which only the training environment has."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is in the training environment only")

from device.capture.frame import Picture  # noqa: E402
from device.vision.detector import STRIDES  # noqa: E402
from tools.lab.convert.calibrate import Runner  # noqa: E402
from tools.lab.edgetpu_check import problems_of  # noqa: E402
from tools.lab.train.detector_check import detector_of  # noqa: E402
from tools.lab.train.detector_export import convert, moved  # noqa: E402
from tools.lab.train.detector_losses import losses  # noqa: E402
from tools.lab.train.detector_net import Student  # noqa: E402
from tools.lab.train.detector_targets import BOX, PLACED, POINTS, SCORED, WEIGHT  # noqa: E402

HEIGHT, WIDTH = 96, 128
CELLS = sum((HEIGHT // s) * (WIDTH // s) for s in STRIDES)


@pytest.fixture
def student():
    """A student with lively weights and normalisations, so that a wrong fold shows."""
    torch.manual_seed(0)
    network = Student()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.6, 1.4)
            module.bias.data.uniform_(-0.2, 0.4)
    for head in network.heads:
        torch.nn.init.normal_(head[-1].weight, std=0.2)
        head[-1].bias.data[:2] = 0
    return network.eval()


def pictures(count):
    return np.random.default_rng(0).integers(0, 256, (count, HEIGHT, WIDTH, 3), np.uint8)


def answers(student, picture):
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        return student(x)[0].numpy()


def arrays(student):
    return {name: value.numpy() for name, value in student.state_dict().items()}


def rows(outputs, part):
    by_name = {name.split(":")[0]: value[0] for name, value in outputs.items()}
    return np.concatenate([by_name[f"{part}{stride}.rows"] for stride in STRIDES])


def test_the_float_file_answers_as_the_student_does(student):
    _, real = convert(arrays(student), pictures(4))
    picture = pictures(5)[4]
    outputs, wanted = Runner(real).run(picture), answers(student, picture)
    assert rows(outputs, "class")[:, 0] == pytest.approx(1 / (1 + np.exp(-wanted[:, 0])), abs=1e-3)
    assert rows(outputs, "object")[:, 0] == pytest.approx(1 / (1 + np.exp(-wanted[:, 1])), abs=1e-3)
    assert rows(outputs, "box") == pytest.approx(wanted[:, 2:6], abs=1e-3)
    assert rows(outputs, "points") == pytest.approx(wanted[:, 6:], abs=1e-3)


def test_the_8_bit_file_is_for_the_edge_tpu_and_close_to_the_float_one(student):
    whole, real = convert(arrays(student), pictures(8))
    assert not problems_of(whole)
    picture = pictures(9)[8]
    close, exact = Runner(whole).run(picture), Runner(real).run(picture)
    assert rows(close, "object") == pytest.approx(rows(exact, "object"), abs=0.1)


def test_scores_are_moved_to_the_default_threshold(student):
    student.heads[0][-1].bias.data[0] = 0.3
    after = moved(arrays(student), 0.5)
    for index in range(3):
        before = student.heads[index][-1].bias.data.numpy()
        change = after[f"heads.{index}.1.bias"] - before
        assert change[:2] == pytest.approx(np.log(0.7 / 0.3), abs=1e-5)
        assert not change[2:].any()


def test_the_devices_detector_takes_a_student(student):
    found = detector_of(student, HEIGHT, WIDTH, 0.4).detect(Picture.of_bgr(pictures(1)[0]), WIDTH)
    assert found.shape[1] == 15
    assert np.isfinite(found).all()


def right_answers():
    wanted = torch.zeros(1, CELLS, 17)
    wanted[..., WEIGHT] = 1
    wanted[0, 5, SCORED] = wanted[0, 5, PLACED] = 0.9
    wanted[0, 5, BOX] = torch.tensor([0.5, 0.4, 0.7, 0.9])
    wanted[0, 5, POINTS] = torch.linspace(-1, 1, 10)
    given = torch.zeros(1, CELLS, 16)
    given[..., :2] = -12
    given[0, 5, :2] = float(np.log(0.9 / 0.1))
    given[0, 5, 2:6] = wanted[0, 5, BOX]
    given[0, 5, 6:] = wanted[0, 5, POINTS]
    return given, wanted


def test_the_right_answers_cost_nothing():
    assert sum(losses(*right_answers()).values()).item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("cell", "column", "value", "part"),
    [(5, 1, -3, "objectness"), (9, 1, 3, "objectness"), (5, 0, -3, "class"), (5, 2, 1.5, "box"),
     (5, 4, 2.0, "size"), (5, 8, 0.9, "points")],
)  # fmt: skip
def test_each_mistake_has_its_price(cell, column, value, part):
    given, wanted = right_answers()
    given[0, cell, column] = value
    assert losses(given, wanted)[part].item() > 0.1


def test_what_is_ignored_costs_nothing():
    given, wanted = right_answers()
    given[0, 9, :2] = 4
    wanted[0, 9, WEIGHT] = 0
    assert sum(losses(given, wanted).values()).item() == pytest.approx(0, abs=1e-3)


def test_boxes_and_points_elsewhere_cost_nothing():
    given, wanted = right_answers()
    given[0, 9, 2:] = 7
    assert sum(losses(given, wanted).values()).item() == pytest.approx(0, abs=1e-3)
