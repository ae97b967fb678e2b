"""What is connected: which boards of the roster, who holds them, and which firmware they run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eishil import wire
from eishil.errors import TargetError
from eishil_bench.boards.locks import BoardLock
from eishil_bench.dut import TargetSpec, load_targets, target_spec
from eishil_bench.dut.serial import SerialDut, board_key, connected_ports, is_candidate
from eishil_bench.link.exchange import Link
from eishil_bench.link.session import Identity, identity

ALL = "all"
# Hello works whatever the model, and its reply is longer than all others of this size.
_SMALLEST = wire.dimensions(1, 1, 1, 1)
_WAITS_s = (0.3, 1.2)


@dataclass(frozen=True)
class Board:
    """A port that a board of the roster may be on.

    `candidates`: targets that it may be, by USB ids and serial number; `holder`: who holds it, empty where nobody does;
    `identity`: what it said of itself; `silence`: why it said nothing.
    """

    port: str
    serial_number: str
    candidates: tuple[str, ...]
    holder: str = ""
    identity: Identity | None = None
    silence: str = ""

    @property
    def target(self) -> str:
        """The target that it is; empty where that is not known."""
        if len(self.candidates) == 1:
            return self.candidates[0]
        named = self.identity.board if self.identity else ""
        return named if named in self.candidates else ""


def list_boards(*, ask: bool = True) -> list[Board]:
    """All boards that are connected; those that nobody holds are asked who they are."""
    targets = load_targets()
    ports = connected_ports()
    boards = _usb_boards(targets, ports) + _fixed_boards(targets)
    return [_asked(board, targets, ports) for board in boards] if ask else boards


def chosen_targets(names: Sequence[str], port: str | None = None) -> list[TargetSpec]:
    """The targets of a run, in order; `all` is every connected board, each with its port.

    Raises
    ------
    TargetError
        A target is unknown, there is no board, or it is not known which target a board is.
    """
    specs = [spec for name in dict.fromkeys(names) for spec in (_all_boards() if name == ALL else [target_spec(name)])]
    if port is not None and len(specs) > 1:
        raise TargetError("--port names one board's port; leave it out with several targets")
    if port is not None and specs[0].kind != "serial":
        raise TargetError(f"target {specs[0].name} has no serial port; leave out --port")
    return list({spec.name: spec for spec in specs}.values())


def _all_boards() -> list[TargetSpec]:
    boards = list_boards()
    if not boards:
        raise TargetError("no board of the roster is connected; `eishil boards` lists what is there")
    for board in boards:
        if not board.target:
            raise TargetError(
                f"the board on {board.port} (serial number {board.serial_number}) may be any of "
                f"{', '.join(board.candidates)}: give the right one its serial_number in your targets.toml"
            )
    targets = [board.target for board in boards]
    if twice := next((name for name in targets if targets.count(name) > 1), ""):
        ports = ", ".join(board.port for board in boards if board.target == twice)
        raise TargetError(f"target {twice}: more than one board ({ports}); give each its serial_number and a name")
    return [target_spec(board.target).model_copy(update={"port": board.port}) for board in boards]


def _usb_boards(targets: Mapping[str, TargetSpec], ports: Iterable[Any]) -> list[Board]:
    boards = []
    for port in ports:
        fitting = [spec for spec in targets.values() if spec.kind == "serial" and is_candidate(spec, port)]
        named = [spec for spec in fitting if spec.serial_number]
        if fitting:
            names = tuple(spec.name for spec in named or fitting)
            boards.append(Board(port.device, getattr(port, "serial_number", None) or "unknown", names))
    return boards


def _fixed_boards(targets: Mapping[str, TargetSpec]) -> list[Board]:
    """Boards whose port stands in the roster; whether one is there, asking tells."""
    return [Board(spec.port, spec.serial_number or "unknown", (name,)) for name, spec in targets.items() if spec.port]


def _asked(board: Board, targets: Mapping[str, TargetSpec], ports: Sequence[Any]) -> Board:
    spec = targets[board.candidates[0]]
    about = (board.port, board.serial_number, board.candidates)
    if holder := BoardLock(spec.name, board_key(board.port, ports)).held_by():
        return Board(*about, holder=holder)
    try:
        with SerialDut(spec, board.port) as dut:
            return Board(*about, identity=ask_identity(dut))
    except TargetError as error:
        return Board(*about, silence=str(error).removeprefix(f"target {spec.name}: "))


def ask_identity(dut: SerialDut, waits_s: tuple[float, ...] = _WAITS_s) -> Identity:
    """Who a device says it is, whatever model it carries."""
    link = Link(dut, _SMALLEST, hello_waits_s=waits_s)
    return identity(link.exchange("hello", protocol_version=wire.PROTOCOL_VERSION))
