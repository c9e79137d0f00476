"""Boards joined by wires: times of bytes, order, faults of wires, endings.

Truth: the UART's bit time is its divider over its clock (MSDK uart_revb.c); all else follows by arithmetic.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from synergyc.diagnostics import SynergyError
from synergyc.emulate.board import Board
from synergyc.emulate.simulation import Ending, Outcome, Simulation
from synergyc.emulate.wire import RandomFaults, Wire
from tests.emulate.programs import CONSOLE_BYTE_PS, Programs

BYTE_PS = CONSOLE_BYTE_PS

PING = """
static volatile uint32_t received;
static uint8_t last;
void uart2_handler(void) {
  UART(2, 0xC) = UART(2, 0xC);
  while (!(UART(2, 4) & 1u << 4)) { last = UART(2, 0x20); received++; }
}
int main(void) {
  run_at_100_mhz(); uart_open(0, 54); uart_open(2, 54);
  UART(2, 8) = 1u << 4; NVIC_ISER(34);
  for (uint32_t round = 0; round < ROUNDS; round++) {
    uint32_t before = received;
    UART(2, 0x20) = 'a' + round;
    __asm volatile("cpsid i" ::: "memory");
    while (received == before) { WFI(); __asm volatile("cpsie i\\n isb\\n cpsid i" ::: "memory"); }
    __asm volatile("cpsie i" ::: "memory");
    uart_put(0, last);
  }
  return 0;
}
"""

PONG = """
void uart2_handler(void) {
  UART(2, 0xC) = UART(2, 0xC);
  while (!(UART(2, 4) & 1u << 4)) UART(2, 0x20) = (uint8_t)UART(2, 0x20) - 32;
}
int main(void) {
  run_at_100_mhz(); uart_open(2, 54);
  UART(2, 8) = 1u << 4; NVIC_ISER(34);
  for (;;) WFI();
}
"""


def ping_pong(
    programs: Programs, rounds: int = 20, **wire: object
) -> tuple[Simulation, Board, Board, Outcome]:
    ping = programs.board(PING.replace("ROUNDS", str(rounds)), "ping")
    pong = programs.board(PONG, "pong")
    simulation = Simulation([ping, pong], [Wire(("ping", "uart2"), ("pong", "uart2"), 921_600, **wire)])  # type: ignore[arg-type]
    outcome = simulation.run(100_000_000)
    return simulation, ping, pong, outcome


def test_bytes_go_to_and_fro_at_exact_times(programs: Programs) -> None:
    simulation, ping, _, outcome = ping_pong(programs)
    assert outcome.ending is Ending.IDLE, outcome.report
    assert ping.console == b"ABCDEFGHIJKLMNOPQRST"
    times = ping.console_log.times_ns
    rounds_ns = {later - earlier for earlier, later in pairwise(times)}
    # Two bytes on the wire; the rest is two interrupts and their handlers, at most 400 cycles of 10 ns.
    assert all(2 * BYTE_PS // 1000 < round_ns < 2 * BYTE_PS // 1000 + 4000 for round_ns in rounds_ns)
    statistics = simulation.statistics()
    assert statistics["ping"].uart_busy_ps["uart2"] == 20 * BYTE_PS
    assert statistics["pong"].uart_received_bytes["uart2"] == 20
    assert 0 < statistics["pong"].cpu_busy < 0.2


def test_two_runs_are_the_same(programs: Programs) -> None:
    first, second = ping_pong(programs), ping_pong(programs)
    assert first[1].console_log == second[1].console_log
    assert first[0].statistics() == second[0].statistics()


def test_order_of_boards_changes_nothing(programs: Programs) -> None:
    _, ping, pong, _ = ping_pong(programs)
    other_ping, other_pong = (
        programs.board(PING.replace("ROUNDS", "20"), "ping"),
        programs.board(PONG, "pong"),
    )
    Simulation([other_pong, other_ping], [Wire(("pong", "uart2"), ("ping", "uart2"), 921_600)]).run(
        100_000_000
    )
    assert other_ping.console_log == ping.console_log
    assert other_pong.statistics().instructions == pong.statistics().instructions


def test_lost_byte_leaves_both_waiting(programs: Programs) -> None:
    seen = []

    def lose_third(frame: object) -> object:
        seen.append(frame)
        return None if len(seen) == 3 else frame

    simulation, ping, _, outcome = ping_pong(programs, faults=(lose_third, None))
    assert outcome.ending is Ending.IDLE
    assert ping.console == b"AB"
    assert simulation.wire_statistics["ping", "uart2"].lost == 1
    assert "ping: asleep" in outcome.report
    assert "main" in outcome.report


def test_random_faults_repeat_with_their_seed(programs: Programs) -> None:
    def run(seed: int) -> tuple[bytes, int, int]:
        simulation, ping, _, _ = ping_pong(
            programs, 26, faults=(None, RandomFaults(seed, loss=0.02, corrupt=0.3))
        )
        statistics = simulation.wire_statistics["pong", "uart2"]
        return ping.console, statistics.lost, statistics.damaged

    assert run(7) == run(7)
    assert len({run(seed) for seed in range(4)}) > 1
    assert run(7)[2] > 0


def test_time_limit_is_reported_with_places(programs: Programs) -> None:
    board = programs.board("int main(void) { for (volatile int i = 0;; i++) {} }", "looping")
    outcome = Simulation([board]).run(2_000_000)
    assert outcome.ending is Ending.TIME
    assert outcome.at_ns >= 2_000_000
    assert "looping: running" in outcome.report
    assert "(main+" in outcome.report
    with pytest.raises(SynergyError, match=r"within 2\.000 ms of virtual time"):
        outcome.raise_unless(Ending.STOPPED)


def test_stop_condition_ends_a_run(programs: Programs) -> None:
    board = programs.board("int main(void) { uart_open(0, 54); for (;;) uart_put(0, 'x'); }")
    simulation = Simulation([board])
    outcome = simulation.run(1_000_000_000, stop=lambda: len(board.console) >= 100)
    assert outcome.ending is Ending.STOPPED
    assert len(board.console) >= 100
    assert outcome.at_ns < 10_000_000


def test_halt_of_one_board_ends_the_run_with_its_report(programs: Programs) -> None:
    good = programs.board("int main(void) { for (volatile int i = 0;; i++) {} }", "good")
    bad = programs.board("int main(void) { run_at_100_mhz(); REG(0x60000000) = 1; return 0; }", "bad")
    outcome = Simulation([good, bad]).run(1_000_000_000)
    assert outcome.ending is Ending.HALT
    assert "bad: data access: write of memory that is not there" in outcome.report
    assert "emulated-fault" in outcome.report


def test_dropped_board_stays_silent(programs: Programs) -> None:
    ping, pong = programs.board(PING.replace("ROUNDS", "20"), "ping"), programs.board(PONG, "pong")
    simulation = Simulation([ping, pong], [Wire(("ping", "uart2"), ("pong", "uart2"), 921_600)])
    simulation.run(stop=lambda: len(ping.console) == 5)
    simulation.drop("pong")
    assert simulation.run(100_000_000).ending is Ending.IDLE
    assert ping.console == b"ABCDE"
    assert "without power" in simulation.run(200_000_000).report


def test_sender_faster_than_its_wire_is_refused(programs: Programs) -> None:
    ping, pong = programs.board(PING.replace("ROUNDS", "1"), "ping"), programs.board(PONG, "pong")
    simulation = Simulation([ping, pong], [Wire(("ping", "uart2"), ("pong", "uart2"), 115_200)])
    with pytest.raises(SynergyError, match="ping sends faster than its wire to pong is for"):
        simulation.run(1_000_000)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (("ping", "uart2"), ("nobody", "uart2"), "there is no board 'nobody'"),
        (("ping", "uart9"), ("pong", "uart2"), "not 'uart9'"),
        (("ping", "uart0"), ("pong", "uart2"), "uart0 of ping is the console"),
        (("ping", "uart2"), ("ping", "uart2"), "wired twice"),
    ],
)
def test_wrong_wires_are_refused(
    programs: Programs, a: tuple[str, str], b: tuple[str, str], message: str
) -> None:
    ping, pong = programs.board(PING.replace("ROUNDS", "1"), "ping"), programs.board(PONG, "pong")
    with pytest.raises(SynergyError, match=message):
        Simulation([ping, pong], [Wire(a, b, 921_600)])
