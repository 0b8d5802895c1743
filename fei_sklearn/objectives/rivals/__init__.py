"""Methods that FEI is compared with, as objectives for the same encoder and the same loop.

Each module holds one method. Its docstring says what the method computes and where it departs from
the article. `docs/rivals.md` compares all of them.
"""
