"""What the firmware's own work costs, beside links and accelerator."""

from __future__ import annotations

from synergyc.targets.fields import TargetData
from synergyc.targets.link import Seal


class TailCycles(TargetData):
    """CPU cycles of one function behind the network, for each position and for each of its steps.

    Steps are values that are read, of moves the axes.
    """

    position: float
    value: float = 0.0


class LoopCycles(TargetData):
    """CPU cycles of the firmware's main loop and of what it does, without interrupts."""

    round: float
    """One round of the main loop, beside its tasks."""
    round_task: float
    """For each of its tasks, whether they have ended."""
    console_input: float
    """Asking for a host's frames."""
    between: float
    """Between two tasks: whether the accelerator is to be looked after."""
    infer_look: float
    """A look at the accelerator while it runs; those at other tasks likewise, if there is nothing to do."""
    choose: float
    choose_segment: float
    choose_waiting: float
    """A look at the accelerator while it does not run, for each segment, and for each that has an input."""
    sense_look: float
    interact_look: float
    line_among_links: float
    """What a result's line takes more on a device with links."""
    uart_look: float
    stream_look: float
    """For each hand-off that begins or ends at a UART."""
    word_saving: float
    """What a word of an input or a result takes less than ``word_ns`` says."""
    mask_word: float
    """What a word of a result takes more than one of an input."""
    rest_word: float
    """What a word takes more that is not copied together with three others."""
    merge_word: float
    """What a word of an input takes more than ``word_ns`` says if it keeps bytes of another tensor."""
    piece: float
    """Each piece of an input or a result: words at equal distances."""
    write_row: float
    """Each row of a table of registers."""
    write_register: float
    """What a register that is written takes more than ``word_ns`` says."""
    switch: float
    """Selecting another segment than the one before, beside its registers."""
    start: float
    """Starting an inference beside the words of its input, and its registers."""
    started: float
    """What is left to do when it runs."""
    done: float
    """The accelerator's interrupt."""
    finish: float
    """Taking a result beside its words."""
    pass_word: float
    """Each word that a segment does not read but a later one does."""
    encode_frame: float
    """Sending a frame of a link, beside its bytes."""
    encode_byte: float
    decode_piece: float
    decode_byte: float
    """While a frame is coming: what is here of it at a look."""
    check_byte: float
    """At its end."""
    frame: float
    answer: float
    """Handling a frame that was decoded, and an acknowledgement."""
    seal_frame: float
    """Sealing or opening a frame of a secured link, without its payload."""
    seal_block: float
    """Each whole block of the cipher in its payload."""
    seal_part: float
    seal_part_byte: float
    """What is left of its payload, and each byte of it."""
    sent: float
    """The interrupt that tells that DMA has sent what it was given."""
    wake: float
    """The interrupt of the timer that wakes the main loop."""
    interrupt_byte: float
    """Collecting a received byte."""


class Runtime(TargetData):
    """CPU cycles and sizes of the firmware's parts that are not links, with their sources in the YAML."""

    sense_cycles: float
    lowest_sense_hz: float
    """Samples a second that a sensor delivers at least."""
    prepare_value_cycles: float
    """For each value that a driver delivers in the sensor's own shape."""
    prepare_row_cycles: float
    """For each row of such values: what lies along the last axis."""
    normalize_cycles: float
    """Beside that, for each value that is normalized."""
    tail_cycles: dict[str, TailCycles]
    """By the name of the function."""
    infer_cycles: float
    """Start, end and polling of one inference, beside the words that are moved."""
    result_line_cycles: float
    """For a result's line on the console, beside its characters."""
    result_character_cycles: float
    """For each character of a result's line on the console."""
    result_characters: int
    """Characters of a result's line beside the app's name and the values."""
    whole_result_bytes: int
    """Of larger results a digest is written, after the first ``whole_result_runs`` runs."""
    whole_result_runs: int
    digest_characters: int
    queue_tensors: int
    """Tensors that wait between two tasks."""
    console_ring_bytes: int
    """Of the console's UART; see ``Medium.ring_bytes``."""
    console_room_bytes: int
    """Free in the ring before a piece of a result is written."""
    console_piece_characters: int
    """Of a result's line that are written at once."""
    text_bytes: int
    """Of a text that are written at once."""
    uart_fifo_bytes: int
    """That a UART takes before they are sent."""
    boot_characters: int
    """Of the line that a device writes when it boots, beside its name."""
    start_characters: int
    """Of the line that says that sensing begins."""
    accelerator_us: float
    """Until weights are loaded into the accelerator, beside ``switch_delay_ms``."""
    wake_us: float
    """The main loop of a device that has nothing to do goes round so often."""
    first_wake_us: float
    """From power-up until the timer for that begins."""
    set_runs: int
    """Runs of each segment of a residency set before another set that waits is loaded."""
    load_words: int
    """Words of weights that are loaded at once."""
    flash_reserve_bytes: int
    """Kept free of weights and samples: code, register tables and other read-only data, generously."""
    flash_least_bytes: int
    """The same of the smallest image: a plan that leaves less is refused."""
    stack_bytes: int
    other_ram_bytes: int
    """Everything in RAM beside the stack, tensors, and buffers of UARTs."""
    console_in_bytes: int
    """Buffer of the console for what comes in."""
    loop: LoopCycles
    group_bytes: int
    """Received bytes that one interrupt collects."""
    window_frames: int
    """Of a hand-off that may be under way unacknowledged."""
    seal: Seal
    channel_answer_frames: int
    """Frames that one acknowledgement answers on a shared channel, where each costs air time."""
    answer_reserve_frames: int
    """Answers for which data leave room in a UART's ring."""
    answer_wait_frames: int
    """Time-out for an answer: time of so many full frames of each peer, and of a peer that is busy."""
    answer_wait_share: float
    """Part of it for which an answer may wait for more frames."""
    peer_busy_us: float
    beat_us: float
    """A device that has said nothing for so long on a link shows that it lives, if answers take no longer."""
    call_us: float
    """After this time without a call an end of a secured link that does not call itself wishes for one."""

    @property
    def ram_least_bytes(self) -> int:
        """What any image has in RAM beside tensors: a stack, and a console with its buffers."""
        return self.stack_bytes + self.console_ring_bytes + self.console_in_bytes
