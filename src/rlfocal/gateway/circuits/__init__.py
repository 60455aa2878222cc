"""Circuits of members, as far as the gateways of one database know of each other's."""
