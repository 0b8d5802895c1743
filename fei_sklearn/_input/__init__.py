"""Conversion of what users pass as X to a panel of scaled float32 series, with NumPy alone."""
