"""The sources' Python blocks, read where they lie and run as they are printed, with the application
around them stubbed.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from config.processes.embedded.place import PROJECT
from experiments.core.errors import Refused
from experiments.sdk import Experiment

FOLDER = PROJECT.parent / "shared" / "sources"
_FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(source: str) -> list[str]:
    """The Python blocks of a source, in the order of its pages."""
    (path,) = FOLDER.glob(f"{source}_*.md")
    # A branch that holds nothing but "# ..." is the reader's to fill in.
    return [block.replace("# ...", "...") for block in _FENCE.findall(path.read_text())]


def there() -> bool:
    """Whether the sources lie beside the project."""
    return FOLDER.is_dir() and len(list(FOLDER.glob("*.md"))) >= 5


class _Dots(ast.NodeTransformer):
    """``...`` stands for what the reader fills in: arms in a list of variants, an empty config
    elsewhere.
    """

    def visit_List(self, node: ast.List) -> ast.AST:  # ast's name
        dots = (
            len(node.elts) == 1
            and isinstance(node.elts[0], ast.Constant)
            and node.elts[0].value is Ellipsis
        )
        return (
            ast.copy_location(ast.Call(ast.Name("_two_arms", ast.Load()), [], []), node)
            if dots
            else self.generic_visit(node)
        )

    def visit_Constant(self, node: ast.Constant) -> ast.AST:  # ast's name
        return ast.copy_location(ast.Dict([], []), node) if node.value is Ellipsis else node


@dataclass
class Runner:
    """Runs blocks in one namespace, as a reader who follows a guide from top to bottom has one.

    ``register`` is what the application does with an experiment that a block defines and then asks
    for. ``refused`` collects what the platform refused, which the reader sees as an exception.
    """

    names: dict[str, Any]
    register: Callable[[Experiment], object]
    refused: list[Refused] = field(default_factory=list)
    _known: set[int] = field(default_factory=set)

    def run(self, block: str) -> None:
        """Statement by statement; one that awaits is awaited."""
        asks = ".get_variant(" in block
        for statement in ast.parse(block).body:
            try:
                self._run(_Dots().visit(statement))
            except Refused as refusal:
                self.refused.append(refusal)
            for value in list(self.names.values()) if asks else ():
                if isinstance(value, Experiment) and id(value) not in self._known:
                    self._known.add(id(value))
                    self.register(value)

    def value(self, block: str) -> Any:
        """Of a block that is one expression."""
        return eval(
            compile(ast.Expression(ast.parse(block, mode="eval").body), "block", "eval"), self.names
        )

    def _run(self, statement: ast.stmt) -> None:
        module = ast.fix_missing_locations(ast.Module([statement], []))
        code = compile(module, "block", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, self.names)
        if inspect.iscoroutine(result):
            asyncio.run(result)
