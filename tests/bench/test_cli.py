"""The command line as a user meets it: quick help, and one sentence for every mistake."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from eishil.errors import EishilError
from eishil_bench import cli, commands
from support.command_line import eishil, is_one_sentence
from support.tiny_dataset import TINY

HEAVY = (
    "pybamm",
    "casadi",
    "numpy",
    "pandas",
    "pyarrow",
    "sklearn",
    "scipy",
    "onnx",
    "onnxruntime",
    "plotly",
    "jinja2",
)
HEAVY += ("rich", "pydantic", "cffi", "serial", "elftools", "platformio", "joblib", "filelock")


def test_help_lists_every_stage():
    answer = eishil("--help", fresh=True)
    assert answer.returncode == 0
    for command in (
        "dataset",
        "train",
        "quantize",
        "generate",
        "build",
        "run",
        "replay",
        "report",
        "diff",
        "flash",
        "boards",
        "doctor",
    ):
        assert f"\n  {command} " in answer.stdout


def test_help_imports_nothing_heavy():
    """What makes `eishil --help` quick, without a stopwatch."""
    code = "import atexit; atexit.register(lambda: print(*sys.modules)); from eishil_bench.cli import main; main()"
    answer = eishil("--help", code=code, fresh=True)
    modules = set(answer.stdout.splitlines()[-1].split())
    assert "eishil_bench.cli" in modules
    assert modules.isdisjoint(HEAVY)


def test_unknown_target_is_told_with_the_known_ones(tmp_path):
    answer = eishil("run", "recipe.toml", "--target", "quemu", cwd=tmp_path)
    assert answer.returncode == 2 and is_one_sentence(answer)
    assert "unknown target 'quemu'" in answer.stderr and "qemu" in answer.stderr.split("known are")[1]
    assert not any(tmp_path.iterdir())


def test_port_of_a_target_that_has_none_is_told_before_anything_is_made(tmp_path):
    answer = eishil("run", "recipe.toml", "--target", "native", "--port", "/dev/ttyACM0", cwd=tmp_path)
    assert answer.returncode == 2 and is_one_sentence(answer)
    assert "target native has no serial port; leave out --port" in answer.stderr
    assert not any(tmp_path.iterdir())


def test_usage_error_exits_2():
    assert eishil("run").returncode == 2
    assert eishil("no-such-command").returncode == 2


def test_doctor_finds_what_is_here():
    answer = eishil("doctor")
    assert answer.returncode == 0, answer.stdout
    assert "qemu-system-arm" in answer.stdout and "pybamm" in answer.stdout
    assert all("optional" in line for line in answer.stdout.splitlines() if "missing" in line)


def test_doctor_tells_what_is_missing_and_how_to_get_it(tmp_path):
    answer = eishil("doctor", PATH=str(tmp_path))
    assert answer.returncode == 2 and is_one_sentence(answer)
    assert "cannot run without cc, arm-none-eabi-gcc, qemu-system-arm" in answer.stderr
    assert "apt-get install qemu-system-arm" in answer.stdout


@pytest.mark.parametrize(
    ("raised", "sentence"),
    [
        ("OSError(28, 'No space left on device', 'build/x')", "eishil: build/x: No space left on device; nothing half"),
        ("ModuleNotFoundError(name='plotly')", "eishil: the Python package plotly is not installed; `eishil doctor`"),
        ("FileNotFoundError(2, 'No such file or directory', 'x.toml')", "eishil: x.toml: No such file or directory\n"),
    ],
    ids=["disk full", "package missing", "nothing to read"],
)
def test_errors_of_the_system_are_one_sentence(raised, sentence):
    code = f"from eishil_bench import cli, doctor\ndef fail(): raise {raised}\ndoctor.examine = fail; cli.main()"
    answer = eishil("doctor", code=f"exec({code!r})")
    assert answer.returncode == 2 and is_one_sentence(answer)
    assert answer.stderr.startswith(sentence)


@pytest.mark.parametrize(
    "raised", ["KeyError('run_table')", "ModuleNotFoundError(name='eishil.x')", "TypeError('a\\nb')"]
)
def test_crash_is_told_apart_from_a_missed_limit(raised):
    code = f"from eishil_bench import cli, doctor\ndef fail(): raise {raised}\ndoctor.examine = fail; cli.main()"
    answer = eishil("doctor", code=f"exec({code!r})")
    assert answer.returncode == 70 and is_one_sentence(answer)
    assert answer.stderr.startswith(f"eishil: internal error ({raised.split('(')[0]}:")
    assert "`eishil --debug ...` shows the traceback; please report it" in answer.stderr
    told = eishil("--debug", "doctor", code=f"exec({code!r})")
    assert told.returncode == 70 and "Traceback" in told.stderr and "in fail" in told.stderr


def test_debug_shows_the_traceback(tmp_path):
    answer = eishil("--debug", "run", "recipe.toml", "--target", "quemu", cwd=tmp_path)
    assert "Traceback" in answer.stderr and "TargetError" in answer.stderr


def test_interrupt_tells_how_to_go_on():
    code = (
        "from eishil_bench import cli, doctor\ndef fail(): raise KeyboardInterrupt\ndoctor.examine = fail; cli.main()"
    )
    answer = eishil("doctor", code=f"exec({code!r})")
    assert answer.returncode == 130 and is_one_sentence(answer)
    assert "the same command goes on" in answer.stderr


def test_run_makes_the_data_set_as_asked(tmp_path, monkeypatch):
    asked = []

    def make(workspace, name, workers, force, making):
        asked.append((name, workers, making))
        raise EishilError("that is enough")

    monkeypatch.setattr(commands, "_make", make)
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY)
    options = ["--target", "native", "--workers", "3", "--precision", "float32", "--out", str(tmp_path)]
    result = CliRunner().invoke(cli.app, ["run", str(recipe), *options])
    assert "that is enough" in str(result.exception)
    assert asked == [("dataset", 3, {"precision": "float32"})]
