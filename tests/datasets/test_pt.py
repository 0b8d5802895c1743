"""Tensors in files of `torch.save`: what is read, and what is refused before it costs memory."""

from __future__ import annotations

import pickle
import tracemalloc
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from fei_sklearn.datasets._pt import read_pt

DTYPES = (
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.uint16,
    torch.bool,
)


def as_numpy(tensor):
    """Return a tensor as torch converts it."""
    if tensor.dtype is torch.bfloat16:
        tensor = tensor.float()
    return tensor.numpy()


@pytest.fixture
def path(tmp_path):
    """Path of a file to write."""
    return tmp_path / "train.pt"


def read(content, path, **options):
    torch.save(content, path, **options)
    return read_pt(path, ("samples", "labels"))


def replace_member(path, name, change, compression=zipfile.ZIP_STORED):
    """Replace a file of an archive by what `change` makes of its content."""
    with zipfile.ZipFile(path) as archive:
        contents = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for member, content in contents.items():
            changed = change(content) if member.endswith(f"/{name}") else content
            archive.writestr(member, changed)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("legacy", [False, True])
def test_values_are_those_of_torch(path, dtype, legacy):
    if legacy and dtype is torch.uint16:
        pytest.skip("torch reads no uint16 from the old format")
    tensor = torch.arange(-6, 6).reshape(3, 1, 4).to(dtype)
    options = {"_use_new_zipfile_serialization": not legacy}
    arrays = read({"samples": tensor, "labels": tensor[:, 0, 0]}, path, **options)
    for key, expected in {"samples": tensor, "labels": tensor[:, 0, 0]}.items():
        np.testing.assert_array_equal(arrays[key], as_numpy(expected))
        assert arrays[key].dtype == as_numpy(expected).dtype


@pytest.mark.parametrize(
    "view",
    [
        lambda tensor: tensor[:, :, ::2],
        lambda tensor: tensor.transpose(1, 2),
        lambda tensor: tensor[1:, :, 3:],
        lambda tensor: tensor[:0],
        lambda tensor: tensor[1, 1, 1],
        lambda tensor: tensor.unfold(2, 3, 1)[:, 0],
    ],
)
def test_views_are_those_of_torch(path, view):
    tensor = view(torch.arange(60.0).reshape(3, 2, 10))
    arrays = read({"samples": tensor}, path)
    np.testing.assert_array_equal(arrays["samples"], tensor.numpy())


def test_parameters_and_tensors_with_a_gradient_are_read(path):
    parameter = torch.nn.Parameter(torch.ones(2, 3))
    content = OrderedDict(samples=parameter, labels=torch.ones(2, requires_grad=True))
    arrays = read(content, path)
    np.testing.assert_array_equal(arrays["samples"], np.ones((2, 3)))
    np.testing.assert_array_equal(arrays["labels"], [1, 1])


def test_files_of_the_other_byte_order_are_read(path):
    torch.save({"samples": torch.arange(5.0)}, path)
    replace_member(path, "byteorder", lambda _: b"big")
    swap = np.arange(5, dtype=">f4").tobytes()
    replace_member(path, "data/0", lambda _: swap)
    arrays = read_pt(path, ("samples",))
    np.testing.assert_array_equal(arrays["samples"], np.arange(5))


@pytest.mark.parametrize("labels", [None, "absent"])
def test_labels_may_be_missing(path, labels):
    content = {"samples": torch.zeros(2)}
    if labels is None:
        content["labels"] = None
    assert list(read(content, path)) == ["samples"]


def test_a_flipped_bit_is_seen(path):
    torch.save({"samples": torch.arange(100.0)}, path)
    content = bytearray(path.read_bytes())
    position = content.index(torch.arange(100.0).numpy().tobytes()) + 200
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"train\.pt is damaged"):
        read_pt(path, ("samples",))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_tensor_of_more_values_than_the_file_is_refused(path, legacy):
    tensor = torch.zeros(1).expand(10**9)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"'samples' has more values than the file"):
        read({"samples": tensor}, path, _use_new_zipfile_serialization=not legacy)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**24


def test_a_compressed_storage_is_refused_before_it_is_unpacked(path):
    torch.save({"samples": torch.zeros(2**22)}, path)
    replace_member(path, "data/0", lambda content: content, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="is damaged"):
        read_pt(path, ("samples",))


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.replace(b"K\x05", b"K\x06"),  # a size beyond the storage
        lambda content: content.replace(b"storageq", b"storagee"),
        lambda content: content[:-20],
        lambda content: b"",
        lambda content: b"\x80\x02r\xff\xff\xff\xff" + content[2:],  # a memo of 2**32 places
        lambda content: b"\x80\x02" + b"X\xff\xff\xff\xff" + content[2:],  # a long text
    ],
)
def test_a_damaged_description_is_refused(path, change):
    torch.save({"samples": torch.arange(5.0)}, path)
    replace_member(path, "data.pkl", change)
    with pytest.raises(ValueError, match=r"train\.pt (is damaged|holds)"):
        read_pt(path, ("samples",))


@pytest.mark.parametrize("name", ["os\nsystem", "torch\nload", "builtins\neval", "numpy\nload"])
def test_no_function_of_a_file_is_called(path, name):
    torch.save({"samples": torch.arange(5.0)}, path)
    harmful = b"c" + name.encode() + b"\n(X\x05\x00\x00\x00falsetR."
    replace_member(path, "data.pkl", lambda _: harmful)
    with pytest.raises(ValueError, match="more than tensors"):
        read_pt(path, ("samples",))


def test_no_attribute_of_a_function_is_set(path):
    torch.save({"samples": torch.arange(5.0)}, path)
    harmful = b"ctorch._utils\n_rebuild_tensor_v2\n(N}X\x0c\x00\x00\x00__defaults__NstB."
    replace_member(path, "data.pkl", lambda _: harmful)
    with pytest.raises(ValueError, match="is damaged"):
        read_pt(path, ("samples",))


def test_an_old_torch_does_not_read_old_files(path, monkeypatch):
    content = {"samples": torch.zeros(3)}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    with pytest.raises(ValueError, match=r"torch 2\.9\.1\+cpu does not read safely"):
        read_pt(path, ("samples",))
    torch.save(content, path)
    assert len(read_pt(path, ("samples",))["samples"]) == 3


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"hello", pickle.dumps([1])])
def test_other_files_are_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"train\.pt is damaged or not saved by torch\.save"):
        read_pt(path, ("samples",))
