"""Bridge: from estimators' parameters and arrays to torch modules, and back.

Above the wall this is the only package that imports torch; `processes` and `first_head` do without.
"""
