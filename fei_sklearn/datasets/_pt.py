"""Tensors in files of ``torch.save``, read without torch and without running a file's code.

Such a file is a zip archive of one pickle and the bytes of each storage. The pickle is read by an
interpreter of few instructions, which calls nothing but the functions below. Bytes are read with
their checksum, and only after their number was compared with the size of the file.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy import ndarray

#: Start of the files that torch wrote before version 1.6.
LEGACY_START = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."

#: First version of torch that reads a legacy file without running its code (CVE-2026-24747).
SOUND_TORCH = (2, 10)

#: Bytes that are read at once.
CHUNK_BYTES = 2**20

#: Type whose bytes NumPy knows only as whole numbers: the upper half of a float32.
BFLOAT16 = "bfloat16"

_DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


class _ForbiddenError(Exception):
    """Error of a file whose pickle needs more than tensors."""


class _RefusedError(ValueError):
    """Error of an intact file with other content than expected."""


class _Storage(NamedTuple):
    """Numbers of an archive that are not read yet; `name` is their file in the archive."""

    dtype: str
    name: str
    n_values: int


class Tensor(NamedTuple):
    """View of a storage that is not read yet."""

    storage: _Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_pt(path: Path, keys: tuple[str, ...]) -> dict[str, ndarray]:
    """Read tensors of a dict that `torch.save` has written.

    Parameters
    ----------
    path : Path
        The file.
    keys : tuple of str
        Keys of the tensors to read. The first must be there, others are left out if they are
        absent or None.

    Returns
    -------
    dict of str to ndarray
        Tensors by key. bfloat16 becomes float32, other types stay.

    Raises
    ------
    ValueError
        If the file is damaged, if it holds more than tensors, lists and plain values, or if it
        holds no dict of these tensors.
    """
    with path.open("rb") as file:
        start = file.read(len(LEGACY_START))
    if start == LEGACY_START:
        return _read_legacy(path, keys)
    try:
        with zipfile.ZipFile(path) as archive:
            content = _content(archive)
            tensors = _checked(content, keys, path, Tensor)
            return {key: _array(tensor, archive, key, path) for key, tensor in tensors.items()}
    except _ForbiddenError:
        raise _more_than_tensors(path) from None
    except _RefusedError as error:
        raise ValueError(str(error)) from None
    except _DAMAGE as error:
        raise _damaged(path) from error


def _more_than_tensors(path: Path) -> ValueError:
    return ValueError(
        f"{path} holds more than tensors, and running a file's code is never allowed: save a dict "
        "of the tensors 'samples' and 'labels'."
    )


def _damaged(path: Path) -> ValueError:
    return ValueError(f"{path} is damaged or not saved by torch.save: copy or download it again.")


def _repeats(path: Path, key: str, shape: tuple[int, ...]) -> str:
    return (
        f"{path}: {key!r} has more values than the file, repeated to shape {shape}: save "
        "tensor.contiguous()."
    )


def _checked(
    content: object,
    keys: tuple[str, ...],
    path: Path,
    tensor_type: type,
) -> dict[str, Any]:
    """Return the tensors of a dict."""
    wanted = " and ".join(map(repr, keys))
    if not isinstance(content, dict):
        found = type(content).__name__
        raise _RefusedError(f"{path} holds {found} instead of a dict with {wanted}.")
    if keys[0] not in content:
        names = [key for key in content if isinstance(key, str)]
        raise _RefusedError(f"{path} holds {names} instead of a dict with {wanted}.")
    tensors = {}
    for key in keys:
        value = content.get(key)
        if value is None and key != keys[0]:
            continue
        if not isinstance(value, tensor_type):
            found = type(value).__name__
            raise _RefusedError(f"{path}: {key!r} is a {found} instead of a tensor: save a tensor.")
        tensors[key] = value
    return tensors


# the archive


def _folder(archive: zipfile.ZipFile) -> str:
    """Return the only folder of an archive."""
    folder, _, _ = archive.namelist()[0].partition("/")
    return folder


def _content(archive: zipfile.ZipFile) -> object:
    """Return what the pickle of an archive describes."""
    stream = _read(archive, "data.pkl")
    return _TensorUnpickler(io.BytesIO(stream)).load()


def _read(archive: zipfile.ZipFile, name: str) -> bytearray:
    """Return the bytes of a file in an archive, whose checksum is compared."""
    info = archive.getinfo(f"{_folder(archive)}/{name}")
    # torch does not compress: no file is larger than the archive
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        raise zipfile.BadZipFile(f"{name} is compressed")
    content = bytearray()
    with archive.open(info) as file:
        while chunk := file.read(CHUNK_BYTES):
            content += chunk
    return content


def _array(
    tensor: Tensor,
    archive: zipfile.ZipFile,
    key: str,
    path: Path,
) -> ndarray:
    """Read a tensor."""
    storage = tensor.storage
    dtype = _numpy_dtype(tensor.dtype)
    storage_bytes = storage.n_values * _numpy_dtype(storage.dtype).itemsize
    n_values = storage_bytes // dtype.itemsize
    _check_view(tensor, n_values)
    n_bytes = math.prod(tensor.shape) * dtype.itemsize
    if n_bytes > path.stat().st_size:
        raise _RefusedError(_repeats(path, key, tensor.shape))
    content = _read(archive, f"data/{storage.name}")
    if len(content) != storage_bytes:
        raise zipfile.BadZipFile(f"{storage.name} has another length")
    stored_dtype = dtype.newbyteorder(_byte_order(archive))
    values = np.frombuffer(content, stored_dtype, n_values)
    strides = [stride * dtype.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, strides)
    array: ndarray = np.ascontiguousarray(view, dtype=dtype).reshape(tensor.shape)
    if tensor.dtype == BFLOAT16:
        upper_half = array.astype(np.uint32) << 16
        return upper_half.view(np.float32)
    return array


def _numpy_dtype(name: str) -> np.dtype[Any]:
    """Return the type of a tensor's bytes."""
    return np.dtype("uint16" if name == BFLOAT16 else name)


def _check_view(tensor: Tensor, n_values: int) -> None:
    """Raise an error for a view that leaves its storage."""
    numbers = (tensor.offset, *tensor.shape, *tensor.strides)
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("a size is no whole number")
    if len(tensor.shape) != len(tensor.strides):
        raise ValueError("sizes and strides differ in number")
    steps = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((size - 1) * stride for size, stride in steps)
    if 0 not in tensor.shape and last >= n_values:
        raise ValueError("a view leaves its storage")


def _byte_order(archive: zipfile.ZipFile) -> Literal["<", ">"]:
    """Return NumPy's sign of the byte order; files without one are of small-endian machines."""
    if f"{_folder(archive)}/byteorder" not in archive.namelist():
        return "<"
    name = bytes(_read(archive, "byteorder"))
    if name not in (b"little", b"big"):
        raise ValueError("the byte order is unknown")
    return "<" if name == b"little" else ">"


# the pickle


def _rebuild_tensor(
    storage: _Storage,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    requires_grad: bool,
    hooks: object,
    metadata: object = None,
) -> Tensor:
    if metadata:  # such as a sign that is not in the values yet
        raise _ForbiddenError
    return Tensor(storage, storage.dtype, offset, shape, strides)


def _rebuild_typed_tensor(
    storage: _Storage,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    requires_grad: bool,
    hooks: object,
    dtype: str,
    metadata: object = None,
) -> Tensor:
    tensor = _rebuild_tensor(storage, offset, shape, strides, requires_grad, hooks, metadata)
    return tensor._replace(dtype=dtype)


def _rebuild_parameter(tensor: Tensor, *state: object) -> Tensor:
    return tensor


#: Names in a pickle -> what they stand for here: functions of this module, or names of types.
KNOWN_NAMES: Mapping[str, Any] = {
    "collections.OrderedDict": OrderedDict,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v3": _rebuild_typed_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
    "torch.BFloat16Storage": BFLOAT16,
    "torch.BoolStorage": "bool",
    "torch.ByteStorage": "uint8",
    "torch.CharStorage": "int8",
    "torch.DoubleStorage": "float64",
    "torch.FloatStorage": "float32",
    "torch.HalfStorage": "float16",
    "torch.IntStorage": "int32",
    "torch.LongStorage": "int64",
    "torch.ShortStorage": "int16",
    "torch.storage.UntypedStorage": "uint8",
    "torch.uint16": "uint16",
    "torch.uint32": "uint32",
    "torch.uint64": "uint64",
}

#: Instructions that make plain values and call known functions. None sets an attribute.
_INSTRUCTIONS = [
    "PROTO",
    "STOP",
    "FRAME",
    "MARK",
    "POP",
    "NONE",
    "NEWTRUE",
    "NEWFALSE",
    "INT",
    "BININT",
    "BININT1",
    "BININT2",
    "LONG1",
    "BINFLOAT",
    "BINSTRING",
    "SHORT_BINSTRING",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "EMPTY_TUPLE",
    "TUPLE",
    "TUPLE1",
    "TUPLE2",
    "TUPLE3",
    "EMPTY_LIST",
    "LIST",
    "APPEND",
    "APPENDS",
    "EMPTY_DICT",
    "DICT",
    "SETITEM",
    "SETITEMS",
    "GLOBAL",
    "STACK_GLOBAL",
    "REDUCE",
    "BINPERSID",
    "BINPUT",
    "LONG_BINPUT",
    "BINGET",
    "LONG_BINGET",
    "MEMOIZE",
]


class _TensorUnpickler(pickle._Unpickler):
    """Interpreter of a pickle that describes tensors, written in Python.

    pickle's own interpreter, in C, allocates any size that an instruction names.
    """

    dispatch = {
        code: pickle._Unpickler.dispatch[code]
        for code in (getattr(pickle, name)[0] for name in _INSTRUCTIONS)
    }

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name stands for."""
        try:
            return KNOWN_NAMES[f"{module}.{name}"]
        except KeyError:
            raise _ForbiddenError from None

    def persistent_load(self, pid: Any) -> _Storage:
        """Return a storage."""
        kind, dtype, name, _, n_values = pid
        if kind != "storage" or not isinstance(name, str) or dtype not in KNOWN_NAMES.values():
            raise _ForbiddenError
        return _Storage(dtype, name, n_values)


# files of torch before version 1.6


def _read_legacy(path: Path, keys: tuple[str, ...]) -> dict[str, ndarray]:
    """Read a file that is no archive by torch, if its version does so without running code."""
    import torch  # only for such files

    major, minor, *_ = torch.__version__.split(".")
    if (int(major), int(minor)) < SOUND_TORCH:
        raise ValueError(
            f"{path} is in the format of torch before version 1.6, which torch {torch.__version__} "
            "does not read safely: install torch 2.10 or later, or save the tensors again."
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises any of six classes for a file that is cut short
        if isinstance(error, pickle.UnpicklingError) and "Weights only" in str(error):
            raise _more_than_tensors(path) from None
        raise _damaged(path) from error
    tensors = _checked(content, keys, path, torch.Tensor)
    arrays = {}
    for key, tensor in tensors.items():
        n_bytes = tensor.numel() * tensor.element_size()
        if n_bytes > path.stat().st_size:
            raise ValueError(_repeats(path, key, tuple(tensor.shape)))
        plain = tensor.detach()
        if plain.dtype is torch.bfloat16:
            plain = plain.float()
        arrays[key] = plain.numpy()
    return arrays
