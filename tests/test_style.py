"""The manner of the house, as far as it can be checked: each failure names file and line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GENERATED = {ROOT / "plugins/ocpp16/src/arthexis_ocpp16/messages.py"}
CONTAIN = ROOT / "arthexis/plugins/contain.py"
MOST_LINES = 50
MEDIAN_LINES = 12
MOST_IN_MODULE = 750
OPENERS = {"open", "read_text", "write_text", "fdopen", "NamedTemporaryFile", "TemporaryFile"}
FOREIGN = {"os.open", "webbrowser.open", "distribution.read_text"}
SPEAKERS = ("arthexis/cli/",)
KEEP_THEIR_TASKS = {
    "arthexis/host.py",  # spawn itself
    "arthexis/lifespans.py",  # one for each lifespan, which close() awaits
    "arthexis/plugins/contain.py",  # one for each timed call, which timed() cancels
    "arthexis/server.py",  # the wish to stop, which _until() cancels
    "arthexis/web/access.py",  # the two that unless_closed() cancels
}
SHRUGS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def product() -> list[Path]:
    """The modules that are installed, but for revisions of tables and what is generated."""
    found = [*ROOT.glob("arthexis/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")]
    return sorted(path for path in found if "migrations" not in path.parts and path not in GENERATED)


TREES = {path: ast.parse(path.read_text("utf-8")) for path in product()}


def place(path: Path, node: ast.AST | None = None) -> str:
    return f"{path.relative_to(ROOT).as_posix()}:{getattr(node, 'lineno', 1)}"


def nodes(*kinds: type[ast.AST]) -> Iterator[tuple[Path, ast.AST]]:
    """Every node of these kinds in the product, with its file."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, kinds):
                yield path, node


def functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path, node in nodes(ast.FunctionDef, ast.AsyncFunctionDef):
        assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        yield path, node


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_there_is_a_product_to_look_at() -> None:
    assert len(TREES) > 60
    assert any(path.name == "journal.py" for path in TREES)


def test_every_module_says_what_it_is_for() -> None:
    silent = [place(path) for path, tree in TREES.items() if not ast.get_docstring(tree)]
    assert silent == []


def _public(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """The public classes and functions of a module or class, by dotted name."""
    for child in getattr(node, "body", []):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not child.name.startswith("_"):
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from _public(child, f"{prefix}{child.name}.")


def _overload(node: ast.AST) -> bool:
    decorators = [ast.unparse(decorator) for decorator in getattr(node, "decorator_list", [])]
    return any(name.split(".")[-1] in {"overload", "setter"} for name in decorators)


def test_everything_public_is_documented() -> None:
    silent = [
        f"{place(path, node)} {name}"
        for path, tree in TREES.items()
        for name, node in _public(tree)
        if not ast.get_docstring(node) and not _overload(node)
    ]
    assert silent == []


def test_everything_is_annotated() -> None:
    bare = []
    for path, fn in functions():
        arguments = [*fn.args.posonlyargs, *fn.args.args, *fn.args.kwonlyargs, fn.args.vararg, fn.args.kwarg]
        named = [a for a in arguments if a is not None and a.arg not in {"self", "cls"}]
        if fn.returns is None or any(argument.annotation is None for argument in named):
            bare.append(f"{place(path, fn)} {fn.name}")
    assert bare == []


def test_a_function_fits_a_page() -> None:
    long = [f"{place(path, fn)} {fn.name}: {length(fn)} lines" for path, fn in functions() if length(fn) > MOST_LINES]
    assert long == []


def test_most_functions_are_short() -> None:
    lengths = sorted(length(fn) for _, fn in functions())
    assert lengths[len(lengths) // 2] <= MEDIAN_LINES


def test_a_module_needs_no_table_of_contents() -> None:
    long = [place(path) for path in TREES if len(path.read_text("utf-8").splitlines()) > MOST_IN_MODULE]
    assert long == []


def _broad(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    names = {ast.unparse(part) for part in ast.walk(handler.type) if isinstance(part, (ast.Name, ast.Attribute))}
    return bool(names & {"Exception", "BaseException"})


def test_broad_excepts_stand_in_one_file_only() -> None:
    broad = [
        place(path, node)
        for path, node in nodes(ast.ExceptHandler)
        if isinstance(node, ast.ExceptHandler) and _broad(node) and path != CONTAIN
    ]
    assert broad == []
    assert any(isinstance(node, ast.ExceptHandler) and _broad(node) for node in ast.walk(TREES[CONTAIN]))


def test_broad_suppression_is_no_way_around_it() -> None:
    broad = [
        place(path, node)
        for path, node in nodes(ast.Call)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith("suppress")
        and {ast.unparse(argument) for argument in node.args} & {"Exception", "BaseException"}
    ]
    assert broad == []


def test_product_code_asserts_nothing() -> None:
    assert [place(path, node) for path, node in nodes(ast.Assert)] == []


def test_no_module_is_called_utils() -> None:
    shrugs = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}
    assert [place(path) for path in TREES if path.stem in shrugs or path.parent.name in shrugs] == []


def _called(node: ast.AST) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def test_the_host_prints_nothing_but_in_commands() -> None:
    spoken = [
        place(path, node)
        for path, node in nodes(ast.Call)
        if _called(node) in {"print", "breakpoint", "pprint"}
        or (_called(node) == "click.echo" and path.is_relative_to(ROOT / "arthexis") and not _speaks(path))
    ]
    assert spoken == []


def _speaks(path: Path) -> bool:
    return path.relative_to(ROOT).as_posix().startswith(SPEAKERS)


def _binary(call: ast.Call) -> bool:
    constants = [a.value for a in [*call.args, *(k.value for k in call.keywords)] if isinstance(a, ast.Constant)]
    return any(isinstance(value, str) and re.fullmatch(r"[rwxa]\+?b|[rwxa]b\+?", value) for value in constants)


def _encoded(call: ast.Call) -> bool:
    if any(keyword.arg == "encoding" for keyword in call.keywords):
        return True
    texts = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    return any(text in {"utf-8", "utf-8-sig", "ascii", "latin-1"} for text in texts)


def test_every_text_file_is_opened_with_an_encoding() -> None:
    guessed = []
    for path, node in nodes(ast.Call):
        if not isinstance(node, ast.Call):
            continue
        name = _called(node).rpartition(".")[2]
        if name not in OPENERS or _called(node) in FOREIGN or _binary(node) or _encoded(node):
            continue
        if name == "open" and _own_open(node):
            continue
        guessed.append(f"{place(path, node)} {ast.unparse(node)[:60]}")
    assert guessed == []


def _own_open(node: ast.Call) -> bool:
    """Whether ``open`` is a method of ours (a lifespan, a log) and opens no file: it is given no mode and no path."""
    return isinstance(node.func, ast.Attribute) and not any(
        isinstance(argument, ast.Constant) for argument in node.args
    )


def test_tasks_are_started_by_the_host() -> None:
    loose = [
        place(path, node)
        for path, node in nodes(ast.Call)
        if _called(node).rpartition(".")[2] in {"create_task", "ensure_future"} and not _client(path)
    ]
    assert {spot.rpartition(":")[0] for spot in loose} == KEEP_THEIR_TASKS


def _client(path: Path) -> bool:
    """The simulator is a client in a process of its own; no host is there."""
    return "arthexis_simulator" in path.parts


def test_times_are_aware() -> None:
    naive = {"datetime.utcnow", "datetime.datetime.utcnow", "datetime.utcfromtimestamp"}
    loose = [
        place(path, node)
        for path, node in nodes(ast.Call)
        if _called(node) in naive
        or (_called(node) in {"datetime.now", "datetime.datetime.now"} and not node.args and not node.keywords)
    ]
    assert loose == []


def test_plugins_never_import_each_other_nor_the_host_behind_its_face() -> None:
    crossed = []
    for path, node in nodes(ast.Import, ast.ImportFrom):
        if path.is_relative_to(ROOT / "arthexis"):
            continue
        own = path.relative_to(ROOT / "plugins").parts[2]
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        for name in names:
            top = name.partition(".")[0]
            if (top.startswith("arthexis_") and top != own) or (top == "arthexis" and not _face(name)):
                crossed.append(f"{place(path, node)} {name}")
    assert crossed == []


def _face(name: str) -> bool:
    """The public face of the host: ``arthexis`` itself, and its test kit."""
    return name == "arthexis" or name.startswith("arthexis.testing")


def test_the_host_imports_no_plugin() -> None:
    crossed = [
        place(path, node)
        for path, node in nodes(ast.Import, ast.ImportFrom)
        if path.is_relative_to(ROOT / "arthexis") and re.search(r"\barthexis_\w+", ast.unparse(node))
    ]
    assert crossed == []


def test_nothing_is_left_to_be_done_in_a_comment() -> None:
    left = [
        f"{path.relative_to(ROOT).as_posix()}:{number}"
        for path in TREES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if SHRUGS.search(line)
    ]
    assert left == []


def test_the_layers_name_every_plugin() -> None:
    packages = {path.name for path in ROOT.glob("plugins/*/src/arthexis_*") if (path / "__init__.py").exists()}
    text = (ROOT / ".importlinter").read_text("utf-8")
    assert {name for name in packages if text.count(f"    {name}\n") != 3} == set()
