"""Where independent jobs run: here, in processes of this machine, on Ray, on Dask.

Nothing else in rlfocal knows how many machines or processes there are. An executor hands one big
shared input to every worker once and runs every job on a single thread, so that neither the number
of workers, nor the order of completion, nor a worker that dies can change a result.
"""

from rlfocal.executor.places import executor_at
from rlfocal.executor.processes import ProcessExecutor
from rlfocal.executor.protocol import Executor
from rlfocal.executor.serial import SerialExecutor

__all__ = ["Executor", "ProcessExecutor", "SerialExecutor", "executor_at"]
