"""Live members: what is sent to an LLM and what comes back, over HTTP or in this process."""

from rlfocal.pool.types import Endpoint, Message, Request, Response

__all__ = ["Endpoint", "Message", "Request", "Response"]
