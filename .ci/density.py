"""Measure how densely the package is written, and fail where it passes the budgets.

Usage: density.py [--files] [PATH ...]

A token is one of Python's own but for comments, docstrings, indentation and line ends; a code line
holds at least one token. Style rules that ruff cannot check are budgets here.
"""

import argparse
import ast
import io
import sys
import tokenize
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

PACKAGE = Path(__file__).parent.parent / "fei_sklearn"

MAX_TOKENS_PER_LINE = 7.5
MAX_CONDITIONALS_PER_1000 = 12.0
MAX_TUPLE_ASSIGNMENTS_PER_1000 = 3.0
MAX_FUNCTION_LINES = 50
MAX_CLASS_METHODS = 15
MAX_FILE_LINES = 400

#: A class of more methods has this word in its docstring, and after it the reason.
REASON = "Methods:"

LAYOUT_TOKENS = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DOCUMENTED = (ast.Module, ast.ClassDef, *FUNCTIONS)


@dataclass
class Measures:
    """Counts over one file or several."""

    n_tokens: int = 0
    n_lines: int = 0
    n_conditionals: int = 0
    n_tuple_assignments: int = 0
    function_lines: list[int] = field(default_factory=list)
    excesses: list[str] = field(default_factory=list)

    def add(self, other: "Measures") -> None:
        """Add the counts of another file."""
        self.n_tokens += other.n_tokens
        self.n_lines += other.n_lines
        self.n_conditionals += other.n_conditionals
        self.n_tuple_assignments += other.n_tuple_assignments
        self.function_lines += other.function_lines
        self.excesses += other.excesses

    def rates(self) -> tuple[float, float, float]:
        """Return tokens per line, and conditionals and tuple assignments per 1,000 lines."""
        n_lines = max(self.n_lines, 1)
        return (
            self.n_tokens / n_lines,
            1000 * self.n_conditionals / n_lines,
            1000 * self.n_tuple_assignments / n_lines,
        )


def docstring_lines(tree):
    """Return the numbers of all lines that belong to docstrings."""
    lines = set()
    for node in ast.walk(tree):
        if not isinstance(node, DOCUMENTED) or ast.get_docstring(node, clean=False) is None:
            continue
        docstring = node.body[0]
        lines.update(range(docstring.lineno, docstring.end_lineno + 1))
    return lines


def is_tuple_assignment(node):
    """Return whether a node is `a, b = x, y`, with tuples on both sides."""
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Tuple):
        return False
    return any(isinstance(target, ast.Tuple) for target in node.targets)


def assigns_only(node):
    """Return whether a function is a constructor that only assigns its parameters to `self`.

    scikit-learn's estimators have one such line for each parameter.
    """
    if node.name != "__init__":
        return False
    return all(
        isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Name)
        for statement in node.body
    )


def measure(path):
    """Return the measures of a file."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    documentation = docstring_lines(tree)
    tokens = [
        token
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in LAYOUT_TOKENS and token.start[0] not in documentation
    ]
    code_lines = {token.start[0] for token in tokens}
    measures = Measures(n_tokens=len(tokens), n_lines=len(code_lines))
    if len(code_lines) > MAX_FILE_LINES:
        measures.excesses.append(f"{path}: {len(code_lines)} lines of code")
    for node in ast.walk(tree):
        measures.n_conditionals += isinstance(node, ast.IfExp)
        measures.n_tuple_assignments += is_tuple_assignment(node)
        if isinstance(node, FUNCTIONS):
            n_lines = len(code_lines & set(range(node.lineno, node.end_lineno + 1)))
            measures.function_lines.append(n_lines)
            if n_lines > MAX_FUNCTION_LINES and not assigns_only(node):
                measures.excesses.append(f"{path}: {node.name} has {n_lines} lines")
        if isinstance(node, ast.ClassDef):
            n_methods = sum(isinstance(child, FUNCTIONS) for child in node.body)
            explained = REASON in (ast.get_docstring(node) or "")
            if n_methods > MAX_CLASS_METHODS and not explained:
                measures.excesses.append(f"{path}: {node.name} has {n_methods} methods")
    return measures


def row(name, measures):
    """Return a row of the printed table."""
    tokens, conditionals, tuples = measures.rates()
    return f"{name:<48}{measures.n_lines:>7}{tokens:>9.2f}{conditionals:>9.1f}{tuples:>9.1f}"


def main():
    """Print the measures, and return 1 where one is above its budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", action="store_true", help="print a row per file")
    parser.add_argument("paths", nargs="*", type=Path, default=[PACKAGE])
    args = parser.parse_args()
    paths = [
        path
        for given in args.paths
        for path in (sorted(given.rglob("*.py")) if given.is_dir() else [given])
    ]
    total = Measures()
    print(f"{'':<48}{'lines':>7}{'tokens':>9}{'if-else':>9}{'tuples':>9}")
    for path in paths:
        measures = measure(path)
        total.add(measures)
        if args.files:
            print(row(str(path)[-47:], measures))
    print(row("all", total))
    lines = total.function_lines
    if len(lines) > 1:
        tenth = quantiles(lines, n=10)[-1]
        print(f"function lines: median {median(lines):.0f}, p90 {tenth:.0f}, max {max(lines)}")
    budgets = (MAX_TOKENS_PER_LINE, MAX_CONDITIONALS_PER_1000, MAX_TUPLE_ASSIGNMENTS_PER_1000)
    excesses = list(total.excesses)
    for name, rate, budget in zip(
        ("tokens per line", "if-else per 1,000 lines", "tuple assignments per 1,000 lines"),
        total.rates(),
        budgets,
        strict=True,
    ):
        if rate > budget:
            excesses.append(f"{rate:.2f} {name}, above {budget}")
    for excess in excesses:
        print(excess)
    return bool(excesses)


if __name__ == "__main__":
    sys.exit(main())
