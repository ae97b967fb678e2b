"""The section `simulation` of a recipe: cells that age by being cycled, `population.SPLIT.simulated` of them.

What the keys do is told in `eishil.cell.mechanisms` and `eishil.cell.protocols`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from eishil.cell.ageing_error import Shortcuts
from eishil.cell.mesh import Mesh
from eishil.dataset.recipe_types import CelsiusRange, Fraction, NotNegativeRange, PositiveRange, Section

ProtocolId = Literal["cc_cycling", "dst", "wltp_class3b", "calendar_rest"]
SeiLaw = Literal[
    "solvent-diffusion limited",
    "reaction limited",
    "electron-migration limited",
    "interstitial-diffusion limited",
    "ec reaction limited",
]
# (simulation.model, cell.model): a state of SPM says nothing of the electrolyte, one of DFN has more than means.
TRANSPLANTS = (("SPM", "SPM"), ("SPMe", "SPMe"), ("SPMe", "DFN"), ("DFN", "DFN"))
PlatingLaw = Literal["none", "reversible", "partially reversible"]


class LoadRecipe(Section):
    """What the protocol leaves open; see `eishil.cell.protocols.Load`."""

    charge_rate: Annotated[float, Field(gt=0, le=3)] = 0.3
    discharge_rate: Annotated[float, Field(gt=0, le=3)] = 1.0
    peak_W_per_Wh: Annotated[float, Field(gt=0, le=10)] = 1.5
    averaging_s: Literal[1, 2, 5, 10, 20, 30, 60] = 10
    storage_soc: Fraction = 0.9


class MechanismsRecipe(Section):
    """What ages the cells; see `eishil.cell.mechanisms.Mechanisms`."""

    sei: SeiLaw = "solvent-diffusion limited"
    plating: PlatingLaw = "partially reversible"
    porosity: bool = True
    stress: bool = True


class RatesRecipe(Section):
    """Factors on the parameter set's rates; a cell draws each from its range, evenly in the logarithm, for life."""

    sei: PositiveRange = (1.0, 1.0)
    plating: PositiveRange = (1.0, 1.0)
    dead_lithium: PositiveRange = (1.0, 1.0)
    lam_ne: PositiveRange = (1.0, 1.0)
    lam_pe: PositiveRange = (1.0, 1.0)


class SimulationRecipe(Section):
    """Cells repeat `protocol` until `end_repetitions` or SOH `end_soh`, with spectra on the way.

    `model` ages on `mesh` and `cell.model` is measured on the cell's; left out, SPM and SPMe age on "radial" and DFN on
    the cell's, as it has to. One simulated repetition stands for `rate_scaling` of them: the rates of
    what accumulates are multiplied by it. A cell ages at one temperature and has one contact resistance, both drawn
    from their ranges; where it is measured is drawn from `population.SPLIT`.
    """

    protocol: ProtocolId
    model: Literal["SPM", "SPMe", "DFN"] = "SPMe"
    mesh: Literal["radial", "pybamm", "default", "fine"] | None = None
    repetitions_per_spectrum: Annotated[int, Field(ge=1)]
    end_repetitions: Annotated[int, Field(ge=1)]
    end_soh: Annotated[float, Field(gt=0, lt=1)] = 0.7
    rate_scaling: Annotated[int, Field(ge=1, le=100)] = 1
    temperature_degC: CelsiusRange
    contact_resistance_mOhm: NotNegativeRange = (0.0, 0.0)
    beside_snapshots: bool = False
    load: LoadRecipe = LoadRecipe()
    mechanisms: MechanismsRecipe = MechanismsRecipe()
    rates: RatesRecipe = RatesRecipe()

    @model_validator(mode="after")
    def _check(self) -> SimulationRecipe:
        if self.repetitions_per_spectrum % self.rate_scaling:
            raise ValueError(
                f"repetitions_per_spectrum: {self.repetitions_per_spectrum} is not a multiple of rate_scaling,"
                f" {self.rate_scaling}"
            )
        if self.mesh and self.model == "DFN":
            raise ValueError("mesh: a cell that ages as DFN is measured on the mesh on which it ages; name cell.mesh")
        return self

    def points(self, cell_mesh: str | Mesh) -> str | Mesh:
        """The mesh on which a cell ages."""
        return cell_mesh if self.model == "DFN" else self.mesh or "radial"

    def shortcuts(self, cell_mesh: str | Mesh) -> Shortcuts:
        """What saves time, as the table of its errors names it."""
        mesh = self.points(cell_mesh)
        averaging_s = str(self.load.averaging_s) if self.protocol == "wltp_class3b" else None
        return Shortcuts(str(self.rate_scaling), mesh if isinstance(mesh, str) else repr(mesh), self.model, averaging_s)

    def varies(self) -> bool:
        """Whether two cells can live different lives."""
        rates = (getattr(self.rates, name) for name in RatesRecipe.model_fields)
        return any(low < high for low, high in (*rates, self.temperature_degC, self.contact_resistance_mOhm))

    def remark(self) -> str:
        """What whoever makes these cells should know before; empty where there is nothing."""
        if self.model != "DFN":
            return ""
        return (
            'simulation.model = "DFN": a spectrum is masked (spread) where a potential is flat or not monotone, which'
            ' with OKane2022 is most of them; "SPMe" ages without that and can be measured as DFN'
        )

    def spectra(self) -> int:
        """Spectra of a cell that lives to the end, the fresh one included."""
        return 1 + self.end_repetitions // self.repetitions_per_spectrum


def check_simulated(simulation: SimulationRecipe | None, model: str, *, beside_snapshots: bool) -> None:
    """Whether a recipe's other sections allow simulated cells, which are measured as `model`.

    Raises
    ------
    ValueError
        Naming the key.
    """
    if simulation is None:
        raise ValueError("simulation: this table is missing; simulated cells need it")
    if (simulation.model, model) not in TRANSPLANTS:
        pairs = ", ".join(f"{ages} for {measured}" for ages, measured in TRANSPLANTS)
        raise ValueError(
            f"simulation.model: a cell that ages as {simulation.model} cannot be measured as {model} (cell.model);"
            f" what can is {pairs}"
        )
    if beside_snapshots and not simulation.beside_snapshots:
        raise ValueError(
            "population: there are simulated cells beside trajectories or snapshots, whose labels have another origin;"
            " if that is meant, say simulation.beside_snapshots = true"
        )
