"""A server that speaks OpenAI's API and knows nothing: for tests, here and at users'.

It answers by a function, waits as long as it is told, and breaks in every way that real servers do.
"""

from rlfocal.pool.stub.faults import Fault
from rlfocal.pool.stub.server import StubServer, StubThread
from rlfocal.pool.stub.shapes import Said, prompt_of

__all__ = ["Fault", "Said", "StubServer", "StubThread", "prompt_of"]
