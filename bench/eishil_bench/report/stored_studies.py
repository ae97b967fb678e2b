"""Studies of a recipe as parts of the page of its run; and by which command one that was not made is made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eishil.dataset.audit import QUALITY
from eishil_bench.pipeline import Workspace
from eishil_bench.report.study import Section, embedded_sections, section_from_json, sections_file
from eishil_bench.studies.inspect import quality_sections

# The page of each study, and the command without its recipe.
STUDIES = (
    ("How good an estimator could be", "identify/identify.html", "identify"),
    ("When things are not as the estimator was told", "robustness/robustness.html", "robustness"),
    ("Classical baselines", "baselines/baselines.html", "baselines"),
    ("Other observation networks", "network_study/network_study.html", "study network"),
)


@dataclass(frozen=True)
class StoredStudy:
    """A heading, what is said under it, and sections; none of a study that was not made."""

    name: str
    title: str
    lead: str
    sections: Sequence[Section] = ()

    def shown(self) -> list[tuple[Section, list[tuple[Any, str]]]]:
        """Sections with their plots as HTML."""
        return embedded_sections(self.sections, f"{self.name}-")


def load_studies(workspace: Workspace, model_id: str) -> list[StoredStudy]:
    """The data set's quality and all studies, made or not; `model_id` is the run's, as far as the wire has it."""
    return [_quality(workspace), *(_study(workspace, model_id, *one) for one in STUDIES)]


def _quality(workspace: Workspace) -> StoredStudy:
    path = workspace.dataset / QUALITY
    title = "Quality of the data set"
    if not path.is_file():
        return StoredStudy("quality", title, f"Not there: `{workspace.command('dataset')}` makes {QUALITY}.")
    lead = f"From {QUALITY} of the data set; `eishil dataset inspect` shows its spectra and labels."
    return StoredStudy("quality", title, lead, quality_sections(json.loads(path.read_text())))


def _study(workspace: Workspace, model_id: str, title: str, page: str, command: str) -> StoredStudy:
    path, name, made_by = workspace.root / page, command.replace(" ", "-"), workspace.command(command)
    if not sections_file(path).is_file():
        return StoredStudy(name, title, f"Not made yet: `{made_by}` makes it, and `eishil report` puts it here.")
    stored = json.loads(sections_file(path).read_text())
    lead = f"{stored['lead']} Made by `{made_by}`."
    if stored["model_id"] and not stored["model_id"].startswith(model_id):
        lead += f" It is of another model than this run, {stored['model_id'][:16]}."
    return StoredStudy(name, title, lead, [section_from_json(one) for one in stored["sections"]])
