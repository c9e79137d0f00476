"""Run a known-answer image on the emulated board and judge how it ended."""

from __future__ import annotations

from dataclasses import asdict

from synergyc.diagnostics import Diagnostic
from synergyc.emulate.accelerator import Accelerator
from synergyc.emulate.accelerator.cycles import START_CYCLES
from synergyc.emulate.accelerator.usage import memory_use
from synergyc.emulate.board import Board
from synergyc.emulate.elf import load_elf
from synergyc.emulate.kat.build import Image
from synergyc.emulate.kat.report import KatReport, LayerTrace, MemoryUsed, Status
from synergyc.emulate.simulation import Ending, Outcome, Simulation
from synergyc.emulate.timeline import PS_PER_NS, PS_PER_S

PASS, FAIL = b"*** PASS ***", b"*** FAIL ***"
"""What the vendor's main.c prints (docs/kat.md)."""

_NS_PER_S = 10**9
_ENDLESS_RUNS = 3
"""Inferences after its PASS by which a program shows that it runs forever on purpose (--forever)."""
_EXCEPTION_STATUS = 0x100
"""As STANDIN_STATUS_EXCEPTION in standin/runtime.h."""

_STUCK_PS = PS_PER_S // 4
"""Ours: longer than SysTick, the only clock that can be polled without being read, counts in one go."""
_REGISTERS = (*(f"r{index}" for index in range(13)), "sp", "lr", "pc", "xpsr")

Verdict = tuple[Status, Diagnostic | None]


def execute(image: Image, *, limit_s: float) -> KatReport:
    """Run ``image`` from reset to its verdict, at most for ``limit_s`` of virtual time, and report.

    Raises SynergyError for an image that does not fit the chip.
    """
    chip = image.chip
    accelerator = Accelerator(chip.cnn)
    board = Board(image.board, load_elf(image.elf), chip.part, chip=chip, accelerator=accelerator)
    limit_ns = round(limit_s * _NS_PER_S)
    watch = _Watch(board, limit_ns)
    outcome = Simulation([board]).run(limit_ns, watch.is_decided)
    status, diagnostic = _judge(board, accelerator, outcome, watch)
    statistics = board.statistics()
    layers = tuple(LayerTrace(run.number, run.cycles, run.summary, run.output) for run in accelerator.layers)
    used = memory_use(chip.cnn, [run.config for run in accelerator.layers])
    return KatReport(
        status=status,
        device=chip.part,
        cycles=START_CYCLES + sum(layer.cycles for layer in layers) if layers else 0,
        layers=layers,
        console=board.console.decode("utf-8", errors="replace"),
        accelerator_runs=statistics.accelerator_runs,
        accelerator_busy_cycles=accelerator.busy_cycles,
        instructions=statistics.instructions,
        cpu_cycles=statistics.cpu_cycles,
        time_s=outcome.at_ns / _NS_PER_S,
        memory=MemoryUsed(image.sizes.flash_bytes, image.sizes.ram_bytes, **asdict(used)),
        diagnostics=() if diagnostic is None else (diagnostic,),
        warnings=image.excess,
    )


class _Watch:
    """Ends a run once its verdict is known although the program goes on; asked every millisecond or so."""

    def __init__(self, board: Board, limit_ns: int) -> None:
        self.stuck = False
        self._board = board
        self._limit_ps = limit_ns * PS_PER_NS
        self._seen_bytes = 0
        self._runs_at_pass: int | None = None
        self._states: set[int] = set()
        self._changed_ps = 0

    def is_decided(self) -> bool:
        """Return whether FAIL is on the console, or PASS and some inferences more, or nothing can change."""
        written = len(self._board.console_log.data)
        if written != self._seen_bytes:
            self._seen_bytes = written
            console = self._board.console
            if FAIL in console:
                return True
            if PASS in console and self._runs_at_pass is None:
                self._runs_at_pass = self._runs()
        if self._runs_at_pass is not None and self._runs() >= self._runs_at_pass + _ENDLESS_RUNS:
            return True
        self.stuck = self._is_stuck()
        return self.stuck

    def _runs(self) -> int:
        return self._board.chip.accelerator_port.runs

    def _is_stuck(self) -> bool:
        """Return whether the CPU polls for something that no event before the limit will bring.

        That is: for a while no state of registers and SRAM was new. Time that the program reads (a timer)
        makes each state a new one.
        """
        chip = self._board.chip
        next_ps = chip.timeline.next_ps()
        if chip.core.sleeping or (next_ps is not None and next_ps < self._limit_ps):
            self._states.clear()
            return False
        sram = chip.target.sram
        state = hash((chip.cpu.read_many(*_REGISTERS), chip.cpu.read_memory(sram.base, sram.size_bytes)))
        if not self._states or state not in self._states:
            self._states.add(state)
            self._changed_ps = chip.now_ps
        return chip.now_ps - self._changed_ps > _STUCK_PS


def _judge(board: Board, accelerator: Accelerator, outcome: Outcome, watch: _Watch) -> Verdict:
    halt = board.chip.halt
    if halt is not None:
        status = Status.FAULT if halt.kind == "fault" else Status.NOT_MODELLED
        return status, halt.diagnostic(board.name, board.image.symbol_at)
    if FAIL in board.console:
        return Status.FAIL, _wrong_answer(accelerator)
    if PASS in board.console and accelerator.missing_input:
        return Status.PASS, None  # programs made with --forever and --fifo load their input only once
    if watch.stuck:
        return Status.HANG, _hang(board, accelerator, "polls for something that nothing will bring")
    if outcome.ending is Ending.STOPPED:
        return Status.PASS, None
    result = int.from_bytes(board.peek("standin_status"), "little")
    if result >= _EXCEPTION_STATUS:
        return Status.FAULT, _unhandled(board, result - _EXCEPTION_STATUS)
    if board.image.symbol_at(board.chip.cpu.read("pc")).partition("+")[0] == "standin_halt":
        return _judge_result(board, result)
    if outcome.ending is Ending.IDLE:
        return Status.HANG, _hang(board, accelerator, "waits for something that nothing will bring")
    limit_s = outcome.at_ns / _NS_PER_S
    return Status.HANG, _hang(board, accelerator, f"gives no verdict within {limit_s:g} s of virtual time")


def _judge_result(board: Board, result: int) -> Verdict:
    if result:
        return Status.FAIL, Diagnostic("kat-result", f"main must return 0, not {result}")
    if PASS not in board.console:
        return Status.FAIL, Diagnostic(
            "kat-verdict", f"the program ended without printing {PASS.decode()!r} or {FAIL.decode()!r}"
        )
    return Status.PASS, None


def _wrong_answer(accelerator: Accelerator) -> Diagnostic:
    hint = "--reference NET.yaml CHECKPOINT names the first layer, channel and pixel that differ"
    clashes = accelerator.overwritten_weights
    if accelerator.early_reads:
        hint = (
            f"{accelerator.early_reads} words of data memory were read while the accelerator ran:"
            " does the program wait for the interrupt before it reads the results?"
        )
    elif clashes:
        processor, slot = clashes[0]
        hint = (
            f"{len(clashes)} weight slots were written twice with different values, the first is slot {slot}"
            f" of processor {processor}: do two layers share weight memory?"
        )
    return Diagnostic("kat-answer", "the program found a difference from the known answer", hint=hint)


def _unhandled(board: Board, number: int) -> Diagnostic:
    return Diagnostic(
        "kat-exception",
        f"exception {number} has no handler\n  {board.where()}",
        hint="vector 16 is interrupt 0",
    )


def _hang(board: Board, accelerator: Accelerator, what: str) -> Diagnostic:
    runs = board.chip.accelerator_port.runs
    reason = "" if runs else "; the accelerator has not finished a single run"
    missing = [f"FIFO {i} ({had} of {need} words)" for i, (had, need) in accelerator.missing_input.items()]
    if missing:
        reason = f"; the accelerator waits for {' and '.join(missing)}"
    return Diagnostic("kat-hang", f"the program {what}{reason}\n  {board.where()}")
