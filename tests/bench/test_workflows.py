"""The workflows cannot be run here; that their commands and files exist can be checked, and is."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from eishil_bench.dut import load_targets

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
RECIPES = re.findall(r"```yaml\n(.+?)```", (ROOT / "docs" / "ci.md").read_text("utf-8"), re.DOTALL)
DOCUMENTS = [*(path.read_text("utf-8") for path in WORKFLOWS), *RECIPES]
NAMES = [*(path.name for path in WORKFLOWS), *("docs/ci.md" for _ in RECIPES)]
ACTION_INPUTS = {
    "actions/checkout": {"repository", "ref", "path"},
    "actions/setup-python": {"python-version"},
    "actions/cache": {"path", "key"},
    "actions/upload-artifact": {"name", "path"},
}
RUNNER_VARIABLES = {"RUNNER_TEMP", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_WORKSPACE", "HOME"}


def jobs(text: str) -> dict[str, dict]:
    document = yaml.safe_load(text)
    # YAML reads a bare `on` as true.
    assert set(document) == {"name", True, "permissions", "jobs"}
    assert document["permissions"] == {"contents": "read"}
    return document["jobs"]


def commands(text: str) -> Iterator[str]:
    for job in jobs(text).values():
        yield from (step["run"] for step in job["steps"] if "run" in step)


@pytest.mark.parametrize("text", DOCUMENTS, ids=NAMES)
def test_every_job_is_bounded_and_every_step_does_one_thing(text) -> None:
    for name, job in jobs(text).items():
        assert set(job) <= {"name", "runs-on", "timeout-minutes", "env", "steps"}, name
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step), step
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/none@v1"))


@pytest.mark.parametrize("text", DOCUMENTS, ids=NAMES)
def test_keys_are_those_that_github_knows(text) -> None:
    """What actionlint would find: a key that is misspelt is ignored by nobody but the author."""
    events = yaml.safe_load(text)[True]
    assert set(events) <= {"push", "pull_request"}
    for job in jobs(text).values():
        assert re.fullmatch(r"ubuntu-\d\d\.\d\d", job["runs-on"])
        for step in job["steps"]:
            assert set(step) <= {"name", "uses", "run", "with", "if", "continue-on-error"}, step
            action = step.get("uses", "").split("@")[0]
            assert set(step.get("with", {})) <= ACTION_INPUTS.get(action, set()), step
            assert step.get("if", "always()") == "always()"


@pytest.mark.parametrize("text", DOCUMENTS, ids=NAMES)
def test_every_variable_of_a_script_is_set(text) -> None:
    for job in jobs(text).values():
        for script in (step["run"] for step in job["steps"] if "run" in step):
            used = set(re.findall(r"\$\{?([A-Za-z_]\w*)", script))
            assigned = set(re.findall(r"^\s*(\w+)=", script, re.MULTILINE))
            assert used <= assigned | set(job.get("env", {})) | RUNNER_VARIABLES, script
            assert "${{" not in script, "an expression in a script is pasted into it: give it by env"


@pytest.mark.parametrize("text", DOCUMENTS, ids=NAMES)
def test_every_script_is_a_script(text) -> None:
    for command in commands(text):
        done = subprocess.run(["bash", "-n"], input=command, text=True, capture_output=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"


@pytest.mark.parametrize("text", DOCUMENTS, ids=NAMES)
def test_every_make_target_and_bench_target_exists(text) -> None:
    for command in commands(text):
        for target in re.findall(r"^make(?: --directory eishil)? (\w+)", command, re.MULTILINE):
            done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        for names in re.findall(r"(?:TARGET=|--target )(\w+|\"[\w ]+\")", command):
            assert set(names.strip('"').split()) <= set(load_targets()), names
        for file in re.findall(r"--requirement (\S+)", command):
            assert (ROOT / file).is_file()


def test_the_three_jobs() -> None:
    (path,) = WORKFLOWS
    found = jobs(path.read_text("utf-8"))
    assert list(found) == ["test", "renode", "boards"]
    runs = {name: "\n".join(step.get("run", "") for step in job["steps"]) for name, job in found.items()}
    assert runs["test"].strip() == "bash .ci/run" and "\nmake test\n" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert 'make hil TARGET="renode renode_h743"' in runs["renode"] and "pio run" in runs["boards"]
    # What is fetched is checked against a sum before it is unpacked.
    assert re.search(r"\$RENODE_SHA256 .*\| sha256sum --check --strict\n[^|]*tar --extract", runs["renode"])
    assert re.fullmatch(r"[0-9a-f]{64}", found["renode"]["env"]["RENODE_SHA256"])
    hosts = set(re.findall(r"https://([^/]+)/([^/]+/[^/]+)", path.read_text("utf-8")))
    assert hosts == {("github.com", "renode/renode")}


def test_hil_runs_the_tests_of_one_target() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "hil", "TARGET=qemu"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "pytest tests/hil --target qemu" in done.stdout
