"""Saving: fitted embedders in folders of safetensors and JSON, and on model hubs."""
