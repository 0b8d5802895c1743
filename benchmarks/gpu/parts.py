"""Parts of the report, in their order, and the function that does the work of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """Part of the report.

    Attributes
    ----------
    name : str
        Name on the command line.
    title : str
        Heading in the report.
    work : str
        Module and function, ``module:function``. The function takes a Setting, returns Markdown,
        raises NotOnThisDeviceError where it cannot run, and any other error if the part fails.
    seconds : float
        Time after which the part is stopped.
    is_needed : bool
        Whether the parts after it are left out if it fails.
    """

    name: str
    title: str
    work: str
    seconds: float = 60.0
    is_needed: bool = False


PARTS = (
    Part("machine", "Machine", "gpu.machine:describe", is_needed=True),
    Part("agreement", "One step here and on the CPU", "gpu.agreement:compare_steps"),
    Part("waits", "Waits of the host in a step", "gpu.waits:count_in_steps"),
    Part("transform-waits", "Waits of the host in transform", "gpu.waits:count_in_transform"),
    Part("estimators", "Estimators, saved here, loaded on the CPU", "gpu.estimators:fit_and_save"),
    Part("float32", "A fit in float32", "gpu.precisions:fit_float32"),
    Part("bf16-mixed", "A fit in mixed bfloat16", "gpu.precisions:fit_bfloat16"),
    Part("16-mixed", "A fit in mixed float16", "gpu.precisions:fit_float16"),
    Part("unequal", "Series of unequal length", "gpu.unequal:fit_and_compare"),
    Part("resume", "A fit that is killed and resumes", "gpu.interruption:kill_and_resume", 90.0),
    Part("memory-limit", "Too little memory", "gpu.memory_limit:run_short"),
    Part("devices", 'n_devices="auto"', "gpu.several:fit_on_all", 90.0),
    Part("steps", "Time of a training step", "gpu.steps:time_steps", 150.0),
    Part("transform", "Time of transform beside the CPU", "gpu.transforming:time_transform"),
    Part("rates", "Share of the device's matrix rate", "gpu.rates:measure_shares"),
    Part("memory", "Memory of a training step", "gpu.peak_memory:measure_peaks"),
    Part("tests", "Tests marked cuda", "gpu.marked_tests:run_marked", 150.0),
)
