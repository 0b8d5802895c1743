"""Adapters of FEI: `adapters.sktime`, `adapters.aeon`, and long frames in `adapters.frames`.

Each is imported by its own name, so that no user needs, or waits for, a toolkit that they do not
use.
"""
