"""What the vendor tool's options change in the program around the accelerator."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProjectOptions:
    """Switches of the generated program; the defaults are the vendor tool's.

    Attributes:
        prefix: put before every symbol with external linkage, so that several networks can be linked.
        check: write the known answer, and compare with it.
        check_words: compare at most this many words of the known answer.
        unload: write ``cnn_unload``, and call it.
        softmax: print the class probabilities of the output.
        timer: number of the timer that measures the inference.
        boost: GPIO port and pin that raise the supply during the inference.
        sleep: wait for the end of the inference asleep, instead of spinning.
        wait_s: time before the start, in which a debugger can attach.
        forever: repeat the inference without end.
        stop_start: stop the accelerator after its start, and let it go on.
        verify_writes: read registers and biases back after they were written.
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
    fifo_wait: bool = True
    pll: bool = True
    slow_load: bool = True
    clock_divider: int | None = None
    switch_delay_ms: int | None = None
