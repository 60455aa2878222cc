"""Importers of tables that routers are trained and compared on."""
