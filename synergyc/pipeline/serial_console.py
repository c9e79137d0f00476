"""A board on a desk: its console at a serial port, as checked lines in and frames out."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

import serial

from synergyc.diagnostics import fail
from synergyc.firmware.framing import ConsoleLine, Frame, FrameKind, encode_frame, parse_console_line
from synergyc.manifest import DeviceRecord
from synergyc.targets import load_board

_LONGEST_LINE_BYTES = 1 << 20
"""No result is longer; noise without line ends is forgotten beyond this."""
_ASK_AGAIN_S = 0.5


class SerialConsole:
    """The console of the board that is ``device``; raises SynergyError (``board-port``) if there is none."""

    def __init__(self, device: DeviceRecord, port: str) -> None:
        self.device, self.port = device, port
        self.received_bytes = 0
        self._partial = bytearray()
        self._unread: list[ConsoleLine] = []
        try:
            self._serial = serial.Serial(
                port, load_board(device.board).console_rate_bd, timeout=0, write_timeout=2
            )
        except (OSError, ValueError) as error:
            raise self._lost(error, "cannot be opened") from error

    def __enter__(self) -> Self:
        """Return the open console."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the port."""
        self._serial.close()

    def lines(self) -> list[ConsoleLine]:
        """Return the checked lines that came since the last call, without waiting; other text is skipped.

        Raises SynergyError if the port is lost or the device reports a fault (``device-fault``).
        """
        try:
            fresh = self._serial.read(1 << 16)
        except OSError as error:
            raise self._lost(error, "was lost") from error
        self.received_bytes += len(fresh)
        *complete, rest = (bytes(self._partial) + fresh).split(b"\n")
        self._partial = bytearray(rest[-_LONGEST_LINE_BYTES:])
        texts = (text.decode("ascii", errors="replace") for text in complete)
        found = [line for line in map(parse_console_line, texts) if line is not None]
        for line in found:
            if line.kind == "F":
                raise fail(
                    "device-fault", f"device {self.device.name!r} reports a fault: {', '.join(line.fields)}"
                )
        unread, self._unread = self._unread, []
        return unread + found

    def write(self, data: bytes) -> None:
        """Send bytes; raises SynergyError if the port is lost."""
        try:
            self._serial.write(data)
        except OSError as error:
            raise self._lost(error, "was lost") from error

    def identify(self, plan_id: int, limit_s: float) -> None:
        """Ask the board who it is until it answers.

        Raises SynergyError: ``board-silent``, ``board-garbage`` (nothing, or nothing readable, within
        ``limit_s``), ``board-device``, ``board-plan`` (another image than the build's).
        """
        self.write(b"\0\0\0\0")  # ends what may have been sent before in part
        began_s = time.monotonic()
        ask_s = began_s
        while (now_s := time.monotonic()) - began_s < limit_s:
            if now_s >= ask_s:
                self.write(encode_frame(Frame(FrameKind.WHO, plan=plan_id & 0xFFFF)))
                ask_s = now_s + _ASK_AGAIN_S
            lines = self.lines()
            for position, line in enumerate(lines):
                if line.kind in ("B", "I"):
                    self._check_identity(line, plan_id)
                    self._unread = lines[position + 1 :]
                    return
            time.sleep(0.002)
        if self.received_bytes:
            raise fail(
                "board-garbage",
                f"the board at {self.port} sends bytes, but no answer of a synergyc image",
                have=f"{self.received_bytes} bytes in {limit_s:g} s",
                hint=f"is it the console of {self.device.name!r}, and its image flashed (synergyc flash)?",
            )
        raise fail(
            "board-silent",
            f"the board at {self.port} says nothing within {limit_s:g} s",
            hint=f"is it powered, and the image of {self.device.name!r} flashed (synergyc flash)?",
        )

    def _check_identity(self, line: ConsoleLine, plan_id: int) -> None:
        name, plan = line.fields[:2]
        hint = f"synergyc flash --device {self.device.name}"
        if plan != f"{plan_id:08x}":
            raise fail(
                "board-plan",
                f"the board at {self.port} runs the image of another build",
                need=f"plan {plan_id:08x}",
                have=f"plan {plan}",
                hint=hint,
            )
        if name != self.device.name:
            raise fail(
                "board-device",
                f"the board at {self.port} is {name!r}, not {self.device.name!r}",
                hint=f"--board {name}={self.port}",
            )

    def _lost(self, error: Exception, what: str) -> Exception:
        reason = str(getattr(error, "strerror", None) or error)
        return fail(
            "board-port",
            f"port {self.port} of device {self.device.name!r} {what}: {reason}",
            hint="python -m serial.tools.list_ports lists the ports",
        )
