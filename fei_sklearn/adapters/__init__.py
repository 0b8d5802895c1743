"""FEI for other toolkits: `adapters.sktime`, `adapters.aeon`, and long frames in `adapters.frames`.

Each is imported by its own name, so that nobody waits for, or needs, a toolkit they do not use.
"""
