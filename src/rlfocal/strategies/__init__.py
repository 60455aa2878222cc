"""Every way to use a pool, behind one small protocol."""
