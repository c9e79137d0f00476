"""What the vendor tool's options change in the program around the accelerator."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProjectOptions:
    """Switches of the generated program; the defaults are the vendor tool's.

    Attributes:
        prefix: put before every symbol with external linkage, so that several networks can be linked.
        check: write the known answer, and compare with it.
        check_words: compare one word more than this of the known answer, as the tool does.
        unload: write ``cnn_unload``, and call it.
        softmax: print the class probabilities of the output.
        timer: number of the timer that measures the inference.
        boost: GPIO port and pin that raise the supply during the inference.
        sleep: wait for the end of the inference asleep, instead of spinning.
        wait_s: time before the start, in which a debugger can attach.
        forever: repeat the inference without end.
        stop_start: stop the accelerator after its start, and let it go on.
        verify_writes: read registers and biases back after they were written.
        verify_weights: read the weights back after they were loaded.
        gather: read 8-bit outputs by the accelerator's byte gatherer where it can.
        energy: repeat loading and inference for the board's power monitor, between pauses.
        clock_trim: trim values of the 7.3728 MHz, 60 MHz and 100 MHz oscillators; 0 leaves one as it is.
        fifo_wait: wait for room in a FIFO before each word.
        pll: run the accelerator from the PLL, where the chip has one.
        slow_load: load weights and input with a slower clock, where the inference runs from the PLL.
        clock_divider: of the inference; None: as fast as the accelerator allows.
        switch_delay_ms: time for the load switches to settle; None: the chip's own.
    """

    prefix: str = ""
    check: bool = True
    check_words: int | None = None
    unload: bool = True
    softmax: bool = False
    timer: int | None = None
    boost: tuple[int, int] | None = None
    sleep: bool = True
    wait_s: int = 2
    forever: bool = False
    stop_start: bool = False
    verify_writes: bool = False
    verify_weights: bool = False
    gather: bool = False
    energy: bool = False
    clock_trim: tuple[int, int, int] | None = None
    fifo_wait: bool = True
    pll: bool = True
    slow_load: bool = True
    clock_divider: int | None = None
    switch_delay_ms: int | None = None
