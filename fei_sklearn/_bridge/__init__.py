"""Bridge: from estimators' specs and arrays to torch modules, and back.

Above the wall no other package imports torch. `spec`, `processes` and `first_head` do without it.
"""
