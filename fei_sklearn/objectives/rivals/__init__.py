"""The peers that FEI is compared with, as objectives for the same encoder and the same loop.

Each module holds one method, and says in its docstring what it computes and where it departs from
the article. `docs/rivals.md` puts them side by side.
"""
