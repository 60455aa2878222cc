"""How many files and connections the process may have open, which systems set low by default."""

from __future__ import annotations

import logging

__all__ = ["most_descriptors", "raise_descriptors"]

_log = logging.getLogger(__name__)
_ENOUGH = 65_536
_UNKNOWN = 4096
"""Where the system has no such limit to ask for."""


def most_descriptors() -> int:
    """The limit that holds for this process."""
    try:
        import resource
    except ImportError:  # Windows
        return _UNKNOWN
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _ENOUGH if soft == resource.RLIM_INFINITY else soft


def raise_descriptors() -> int:
    """Raise the limit as far as this process may; what it is then."""
    try:
        import resource
    except ImportError:  # Windows
        return _UNKNOWN
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError) as exc:
            _log.warning("the limit of open files stays at %d: %s", soft, exc)
    return most_descriptors()
