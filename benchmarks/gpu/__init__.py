"""Checks and measurements of an accelerator, which write one report: see `__main__.py`."""
