"""Work that outlasts a request: durable jobs, and the processes that do it."""

from rixin.compute.executor import Work, executing
from rixin.compute.jobs import ExecutorLock, JobKind, Jobs, Step, jobs_url
from rixin.compute.process import Child, be_child
from rixin.compute.sandbox import Limits, Program, SandboxResult, run_many, run_python, sandbox_layers

__all__ = [
    "Child",
    "ExecutorLock",
    "JobKind",
    "Jobs",
    "Limits",
    "Program",
    "SandboxResult",
    "Step",
    "Work",
    "be_child",
    "executing",
    "jobs_url",
    "run_many",
    "run_python",
    "sandbox_layers",
]
