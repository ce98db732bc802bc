import os
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
import torch.cuda

from fundiff.models import placement
from fundiff.models.placement import (
    WORKSPACE,
    Machine,
    MemoryShortageError,
    Placement,
    bf16_is_fast,
    place,
    this_machine,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")
MILLION = 1_000_000


def have(gb: float, gpu: float | None = None, *, fast_bf16: bool = False) -> Machine:
    name = None if gpu is None else "some GPU"
    return Machine(4, int(gb * 1e9), name, int((gpu or 0) * 1e9), fast_bf16)


@pytest.mark.parametrize(
    ("weights", "machine", "expected"),
    [
        (4 * MILLION, have(8), Placement(CPU, torch.float32)),
        (4 * MILLION, have(8, 2), Placement(GPU, torch.float16)),
        (4 * MILLION, have(8, fast_bf16=True), Placement(CPU, torch.float32)),
        (4300 * MILLION, have(24), Placement(CPU, torch.float32)),
        (4300 * MILLION, have(12), Placement(CPU, torch.bfloat16)),
        (4300 * MILLION, have(12, 10), Placement(GPU, torch.float16)),
        (4300 * MILLION, have(12, 8), Placement(GPU, torch.float16, by_layer=True)),
    ],
)
def test_a_network_goes_where_it_fits(weights: int, machine: Machine, expected: Placement) -> None:
    assert place(weights, machine) == expected


def test_bfloat16_is_for_fast_processors_and_networks_that_bear_it() -> None:
    assert place(4, have(8, fast_bf16=True), rounding=True).dtype == torch.bfloat16
    assert place(4, have(8), rounding=True).dtype == torch.float32


def test_wishes_are_heard() -> None:
    there = have(8, 8)
    assert place(4, there, device="cpu") == Placement(CPU, torch.float32)
    assert place(4, there, device="cpu", dtype=torch.bfloat16).dtype == torch.bfloat16
    assert place(4, there, dtype=torch.float32) == Placement(GPU, torch.float32)


@pytest.mark.parametrize(
    ("machine", "dtype", "message"),
    [
        (have(8), None, r"need 9\.1 GB of memory, and 8\.0 GB are free"),
        (have(17), torch.float32, r"need 17\.7 GB of memory, and 17\.0 GB are free"),
        (have(8, 8), None, r"need 9\.1 GB; free are 8\.0 GB on the GPU and 8\.0 GB of memory"),
        (have(99, 0.4), None, r"free are 0\.4 GB on the GPU"),
    ],
)
def test_what_does_not_fit_is_refused(
    machine: Machine, dtype: torch.dtype | None, message: str
) -> None:
    with pytest.raises(MemoryShortageError, match=message):
        place(4300 * MILLION, machine, dtype=dtype)


def test_the_smallest_room_is_enough() -> None:
    exact = Machine(1, 4 * MILLION + WORKSPACE)
    assert place(MILLION, exact).dtype == torch.float32
    assert place(MILLION + 1, exact).dtype == torch.bfloat16


def test_placements_read_well() -> None:
    assert str(Placement(CPU, torch.bfloat16)) == "bfloat16 on the processor"
    assert str(Placement(GPU, torch.float16, True)) == "float16 on the GPU, layer by layer"
    assert str(Placement(torch.device("mps"), torch.float32)) == "float32 on mps"


def test_this_machine_has_something(monkeypatch: pytest.MonkeyPatch) -> None:
    here = this_machine()
    assert here.cores >= 1
    assert here.memory > 2**27
    assert (here.gpu is None) == (not torch.cuda.is_available())
    assert here.fast_bf16 == bf16_is_fast()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "some GPU")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (3, 4))
    assert (this_machine().gpu, this_machine().gpu_memory) == ("some GPU", 3)


def container(folder: Path, monkeypatch: pytest.MonkeyPatch, **files: str) -> None:
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    monkeypatch.setattr(placement, "CONTAINER", folder)


def allowed() -> int:
    return len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None), ("9900000 100000", None)],
)
def test_a_containers_cores_are_counted(
    quota: str, cores: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    container(tmp_path, monkeypatch, cpu_max=quota + "\n")
    assert this_machine().cores == (cores or allowed())


def test_cores_that_may_not_be_used_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert this_machine().cores == 1
    finally:
        os.sched_setaffinity(0, before)
    monkeypatch.delattr(psutil.Process, "cpu_affinity")  # as on macOS
    assert this_machine().cores == psutil.cpu_count()


@pytest.mark.parametrize(
    ("limit", "free"), [("2000000000", 1_100_000_000), ("max", None), ("9" * 18, None)]
)
def test_a_containers_memory_is_counted(
    limit: str, free: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "anon 5\ninactive_file 100000000\n"
    container(
        tmp_path, monkeypatch, memory_max=limit, memory_current="1000000000", memory_stat=said
    )
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=7 * 10**9))
    assert this_machine().memory == (free or 7 * 10**9)


X86 = {"architecture": "x86_64", "avx2": True, "avx512_bf16": False, "amx_bf16": False}
ARM = {"architecture": "aarch64", "neon": True, "bf16": False, "fp16_arith": True}


@pytest.mark.parametrize(
    ("capabilities", "fast"),
    [
        (X86, False),
        (X86 | {"avx512_f": True, "avx512_vnni": True, "amx_fp16": True}, False),
        (X86 | {"avx512_bf16": True}, True),
        (X86 | {"amx_bf16": True}, True),
        (ARM, False),
        (ARM | {"bf16": True}, True),
        ({}, False),
    ],
)
def test_bfloat16_is_fast_where_the_processor_has_instructions_for_it(
    capabilities: dict[str, object], fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert bf16_is_fast() is fast
    assert this_machine().fast_bf16 is fast
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert bf16_is_fast() is False


def test_capabilities_are_what_linux_says_of_the_processor() -> None:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        pytest.skip("there is no /proc/cpuinfo")
    flags = set(cpuinfo.read_text().split())
    assert bf16_is_fast() == bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})
