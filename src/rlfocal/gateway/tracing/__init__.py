"""Requests, rounds and members' calls as OpenTelemetry has traces; an extra, off by default."""
