"""PyTorch checkpoints, read without PyTorch and without executing what they contain.

Both formats of ``torch.save`` are read: the zip archive, and the older sequence of pickles followed by raw
storages. The unpickler builds tensors, containers and plain values; objects of the training code become
empty placeholders; a name from anywhere else is refused.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from synergyc.diagnostics import SynergyError, fail, file_location
from synergyc.ir.types import Array

_STORAGE_TYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""First pickle of the older format (torch.serialization.MAGIC_NUMBER)."""
_PLACEHOLDER_MODULES = ("torch", "numpy", "distiller")
"""Objects of these packages (optimizers, schedules) may be in a checkpoint; they are not built."""

_CONTAINERS = {
    ("collections", "defaultdict"),
    *(("builtins", name) for name in ("bytearray", "complex", "dict", "frozenset", "list", "set", "tuple")),
    *(
        ("__builtin__", name)
        for name in ("bytearray", "complex", "dict", "frozenset", "list", "set", "tuple")
    ),
}


@dataclass(frozen=True)
class Checkpoint:
    """Architecture name and parameters by key, in the order of the file."""

    arch: str
    parameters: Mapping[str, Array]


@dataclass(frozen=True)
class _Storage:
    dtype: np.dtype[Any]
    key: str


@dataclass(frozen=True)
class _LazyTensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def load(self, data: bytes) -> Array:
        """Return the tensor from its storage's bytes."""
        flat = np.frombuffer(data, dtype=self.storage.dtype)
        steps = tuple(stride * flat.itemsize for stride in self.strides)
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if 0 not in self.shape and not (self.offset >= 0 and last < len(flat) and min(steps, default=0) >= 0):
            raise pickle.UnpicklingError("tensor reaches beyond its storage")
        return np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, steps).copy()


class _Placeholder:
    """Stands for an object of the training code; takes whatever the pickle does to it."""

    def __new__(cls, *_args: object, **_kwargs: object) -> _Placeholder:
        return super().__new__(cls)

    def __init__(self, *_args: object, **_kwargs: object) -> None: ...

    def __setstate__(self, _state: object) -> None: ...

    def __setitem__(self, _key: object, _value: object) -> None: ...

    def append(self, _item: object) -> None:
        """Ignore an item."""


class _SafeUnpickler(pickle.Unpickler):
    """Builds data only; ``find_class`` never returns anything that comes from outside this file.

    ``storages`` collects the storages that the pickle refers to, by key.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _rebuild_parameter
        if module == "torch" and name in _STORAGE_TYPES:
            return np.dtype(_STORAGE_TYPES[name])
        if module.split(".", maxsplit=1)[0] in _PLACEHOLDER_MODULES or (module, name) in _CONTAINERS:
            return _Placeholder
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is not data")

    def persistent_load(self, pid: Any) -> _Storage:
        if (
            not isinstance(pid, tuple)
            or len(pid) < 3
            or pid[0] != "storage"
            or not isinstance(pid[1], np.dtype)
        ):
            raise pickle.UnpicklingError("unknown kind of storage")
        return self.storages.setdefault(str(pid[2]), _Storage(pid[1], str(pid[2])))


def _rebuild_tensor(storage: _Storage, offset: int, size: Any, stride: Any, *_: object) -> _LazyTensor:
    return _LazyTensor(storage, int(offset), tuple(map(int, size)), tuple(map(int, stride)))


def _rebuild_parameter(data: _LazyTensor, *_: object) -> _LazyTensor:
    return data


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; raises SynergyError if it is missing, damaged, or contains more than data."""
    try:
        content = path.read_bytes()
        root, storages = _read_zip(content) if content[:2] == b"PK" else _read_legacy(content)
        state = root["state_dict"]
        parameters = {
            str(key): value.load(storages(value.storage.key))
            for key, value in state.items()
            if isinstance(value, _LazyTensor)
        }
        arch = root.get("arch", "")
    except SynergyError:
        raise
    except Exception as error:
        # A pickle can raise anything while it is taken apart.
        raise fail(
            "checkpoint",
            f"not a readable checkpoint: {error or type(error).__name__}",
            location=file_location(path),
            hint="a checkpoint is what torch.save makes of {'epoch', 'arch', 'state_dict'}",
        ) from error
    return Checkpoint(arch if isinstance(arch, str) else "", parameters)


_Content = tuple[Mapping[str, Any], Callable[[str], bytes]]


def _read_zip(content: bytes) -> _Content:
    archive = zipfile.ZipFile(io.BytesIO(content))
    name = next(item for item in archive.namelist() if item.endswith("/data.pkl") or item == "data.pkl")
    folder = name[: -len("data.pkl")]
    root = _SafeUnpickler(io.BytesIO(archive.read(name))).load()
    return root, lambda key: archive.read(f"{folder}data/{key}")


def _read_legacy(content: bytes) -> _Content:
    stream = io.BytesIO(content)
    if _SafeUnpickler(stream).load() != _LEGACY_MAGIC:
        raise pickle.UnpicklingError("unknown format")
    _SafeUnpickler(stream).load()  # protocol version
    _SafeUnpickler(stream).load()  # sizes of C types on the machine that wrote it
    unpickler = _SafeUnpickler(stream)
    root = unpickler.load()
    contents: dict[str, bytes] = {}
    for key in _SafeUnpickler(stream).load():
        (count,) = struct.unpack("<q", stream.read(8))
        contents[str(key)] = stream.read(count * unpickler.storages[str(key)].dtype.itemsize)
    return root, lambda key: contents[key]
