"""What this machine tells of itself, with GPUs and without, and what it says when they do not
answer.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace

import psutil
import pytest

from discovery.services.machine import hardware

GIB = 1 << 30


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    hardware.forget()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(hardware.shutil, "which", lambda _name: None)
    yield
    hardware.forget()


class FakeNVML(ModuleType):
    """As much of ``pynvml`` as is used."""

    class NVMLError(Exception): ...

    class NVMLError_LibraryNotFound(NVMLError): ...  # noqa: N801

    def __init__(
        self,
        cards: list[tuple[str | bytes, int]],
        fault: Exception | None = None,
        late_fault: Exception | None = None,
    ) -> None:
        super().__init__("pynvml")
        self.cards, self.fault, self.late_fault, self.open = cards, fault, late_fault, False

    def nvmlInit(self) -> None:  # noqa: N802
        if self.fault:
            raise self.fault
        self.open = True

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open = False

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetName(self, handle: int) -> str | bytes:  # noqa: N802
        return self.cards[handle][0]

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:  # noqa: N802
        if self.late_fault:
            raise self.late_fault
        total = self.cards[handle][1]
        return SimpleNamespace(total=total, free=total // 4, used=total - total // 4)


def _rocm(
    monkeypatch: pytest.MonkeyPatch,
    answer: bytes = b"",
    status: int = 0,
    errors: bytes = b"",
    fault: Exception | None = None,
) -> list[dict]:
    calls: list[dict] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[bytes]:
        calls.append({"command": command, **options})
        if fault:
            raise fault
        return subprocess.CompletedProcess(command, status, answer, errors)

    monkeypatch.setattr(hardware.shutil, "which", lambda name: f"/opt/rocm/bin/{name}")
    monkeypatch.setattr(hardware.subprocess, "run", run)
    return calls


def test_a_machine_without_gpus_tells_its_ram_and_has_nothing_to_note() -> None:
    told = hardware.this_machine()
    assert told.machine.ram_bytes == psutil.virtual_memory().total
    assert told.machine.gpus == ()
    assert told.notes == ()


def test_nvidia_gpus_are_named_with_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNVML([("NVIDIA GeForce RTX 4090", 24 * GIB), (b"Tesla T4", 16 * GIB)])
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    gpus = hardware.this_machine().machine.gpus
    assert [(gpu.name, gpu.total_bytes) for gpu in gpus] == [
        ("NVIDIA GeForce RTX 4090", 24 * GIB),
        ("Tesla T4", 16 * GIB),
    ]
    assert not nvml.open


def test_a_machine_without_nvidia_driver_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        sys.modules,
        "pynvml",
        FakeNVML([], fault=FakeNVML.NVMLError_LibraryNotFound("NVML Shared Library Not Found")),
    )
    assert hardware.this_machine().notes == ()


def test_a_driver_that_does_not_fit_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        sys.modules,
        "pynvml",
        FakeNVML([], fault=FakeNVML.NVMLError("Driver/library version mismatch")),
    )
    assert hardware.this_machine().notes == (
        "NVIDIA GPUs could not be asked: Driver/library version mismatch.",
    )


def test_a_gpu_that_fell_off_the_bus_is_noted_and_nvml_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nvml = FakeNVML([("A100", 40 * GIB)], late_fault=FakeNVML.NVMLError("GPU is lost"))
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    told = hardware.this_machine()
    assert told.machine.gpus == ()
    assert told.notes == ("NVIDIA GPUs could not be asked: GPU is lost.",)
    assert not nvml.open


def test_amd_gpus_are_read_from_rocm_smi_in_their_order_and_under_a_time_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = (
        b'{"card10": {"VRAM Total Memory (B)": "8"}, "card0": {"VRAM Total Memory (B)":'
        b' "17163091968"}, "system": {"Driver version": "6.2"}}'
    )
    calls = _rocm(monkeypatch, answer)
    assert [(gpu.name, gpu.total_bytes) for gpu in hardware.this_machine().machine.gpus] == [
        ("AMD card0", 17163091968),
        ("AMD card10", 8),
    ]
    assert calls[0]["command"][1:] == ["--showmeminfo", "vram", "--json"]
    assert calls[0]["timeout"] == hardware.ROCM_SECONDS


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"fault": subprocess.TimeoutExpired("rocm-smi", 5)},
            "rocm-smi did not answer in 5 seconds",
        ),
        (
            {"fault": PermissionError("Permission denied")},
            "rocm-smi did not start (Permission denied)",
        ),
        (
            {"status": 2, "errors": b"ERROR: driver\nnot loaded\n"},
            "rocm-smi ended with status 2: ERROR: driver not loaded",
        ),
        ({"status": 1}, "rocm-smi ended with status 1"),
        ({"answer": b"WARNING: no devices"}, "the answer of rocm-smi is not the JSON it documents"),
        ({"answer": b"[1]"}, "the answer of rocm-smi is not the JSON it documents"),
        (
            {"answer": b'{"card0": {"VRAM": "1"}}'},
            "the answer of rocm-smi is not the JSON it documents",
        ),
        (
            {"answer": b'{"card0": {"VRAM Total Memory (B)": "much"}}'},
            "the answer of rocm-smi is not the JSON it documents",
        ),
        (
            {
                "answer": (
                    b'{"card0": {"VRAM Total Memory (B)": "9", "VRAM Total Used Memory (B)": ""}}'
                )
            },
            "the answer of rocm-smi is not the JSON it documents",
        ),
        ({"answer": b"\xff\xfe"}, "the answer of rocm-smi is not the JSON it documents"),
    ],
)
def test_an_rocm_smi_that_fails_is_noted_and_the_ram_still_told(
    monkeypatch: pytest.MonkeyPatch, options: dict, said: str
) -> None:
    _rocm(monkeypatch, **options)
    told = hardware.this_machine()
    assert told.notes == (f"AMD GPUs could not be asked: {said}.",)
    assert told.machine.ram_bytes > 0
    assert told.machine.gpus == ()


def test_the_machine_is_asked_once_in_a_while_and_not_for_every_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = _rocm(monkeypatch, b"{}")
    now = [1000.0]
    monkeypatch.setattr(hardware.time, "monotonic", lambda: now[0])
    for _ in range(50):
        hardware.this_machine()
    assert len(calls) == 1
    now[0] += hardware.KEPT_SECONDS
    hardware.this_machine()
    assert len(calls) == 2


def test_free_memory_is_told_as_it_is_now_and_only_where_the_driver_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNVML([("A100", 40 * GIB)]))
    _rocm(
        monkeypatch,
        b'{"card0": {"VRAM Total Memory (B)": "16", "VRAM Total Used Memory (B)": "5"}, "card1":'
        b' {"VRAM Total Memory (B)": "8"}}',
    )
    assert hardware.cards().cards == (
        hardware.GraphicsCard("A100", 40 * GIB, 10 * GIB),
        hardware.GraphicsCard("AMD card0", 16, 11),
        hardware.GraphicsCard("AMD card1", 8, None),
    )


def test_why_a_kind_of_gpu_is_not_looked_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hardware.cards().absent == (
        "NVIDIA GPUs can't be detected: nvidia-ml-py isn't installed.",
        "AMD GPUs can't be detected: rocm-smi isn't on the PATH.",
    )
    monkeypatch.setitem(
        sys.modules,
        "pynvml",
        FakeNVML([], fault=FakeNVML.NVMLError_LibraryNotFound("NVML Shared Library Not Found")),
    )
    assert hardware.cards().absent[0] == "There is no NVIDIA driver on this machine."


def test_a_driver_that_hangs_holds_nobody_up(
    silence: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "PATIENCE", 0.05)
    monkeypatch.setattr(hardware, "_cards", silence.wait)
    assert hardware.cards() == hardware.Cards(
        notes=("GPUs could not be asked: their drivers did not answer in 0.05 seconds.",)
    )
