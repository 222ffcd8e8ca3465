"""Which file imports which, worked out from the modules that files name.

A name is looked up by its language's own rule and only ever resolves to a file of the repository; what is not found
is a library. Cheap and cautious: a missing edge costs little, a wrong one puts tasks in a wrong order.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from services.reviewer.domain.snapshot import SourceFile

_SCRIPT_ENDINGS = (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".vue", ".svelte")
_SCRIPT_LANGUAGES = ("javascript", "typescript", "tsx", "jsx", "vue", "svelte")
_TOP_LEVEL = ("", "src", "lib", "Lib", "python")
_SAME_FOLDER_MOST = 40


class Modules:
    """The files of a repository by the names they can be imported under."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = sorted(set(paths))
        self._known = frozenset(self._paths)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_directory: dict[str, list[str]] = defaultdict(list)
        for path in self._paths:
            directory, name = posixpath.split(path)
            self._by_name[name].append(path)
            self._by_directory[directory].append(path)
        self._packages = {posixpath.dirname(path) for path in self._by_name["__init__.py"]}
        self._python = self._python_modules()
        self._found: dict[tuple[str, str, str], tuple[str, ...]] = {}

    def find(self, importer: str, language: str, name: str) -> tuple[str, ...]:
        """The files that the importer means by the name; none for a library."""
        question = (posixpath.dirname(importer), language, name)
        if question not in self._found:
            resolve = _RULES.get(language)
            self._found[question] = resolve(self, question[0], name.strip()) if resolve and name.strip() else ()
        return self._found[question]

    def _python_modules(self) -> dict[str, list[tuple[str, str]]]:
        modules: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for path in self._paths:
            if path.endswith(".py"):
                root = self._python_root(posixpath.dirname(path))
                inner = path[len(root) :].lstrip("/").removesuffix(".py").removesuffix("/__init__")
                modules[inner.replace("/", ".")].append((root, path))
        return modules

    def _python_root(self, directory: str) -> str:
        while directory in self._packages:
            parent = posixpath.dirname(directory)
            if parent == directory:
                break
            directory = parent
        return directory

    def _python_file(self, directory: str, name: str) -> tuple[str, ...]:
        if name.startswith("."):
            return self._python_relative(directory, name)
        while name:
            near = [
                (-len(root), path)
                for root, path in self._python.get(name, ())
                if root in _TOP_LEVEL or f"{directory}/".startswith(f"{root}/")
            ]
            if near:
                return (min(near)[1],)
            name = name.rpartition(".")[0]
        return ()

    def _python_relative(self, directory: str, name: str) -> tuple[str, ...]:
        inner = name.lstrip(".")
        for _ in range(len(name) - len(inner) - 1):
            directory = posixpath.dirname(directory)
        place = posixpath.join(directory, *inner.split(".")) if inner else directory
        return self._first((f"{place}.py", f"{place}/__init__.py", f"{posixpath.dirname(place)}.py"))

    def _script(self, directory: str, name: str) -> tuple[str, ...]:
        if not name.startswith("."):
            return ()
        place = posixpath.normpath(posixpath.join(directory, name))
        stem = posixpath.splitext(place)[0] if place.endswith(_SCRIPT_ENDINGS) else place
        return self._first(
            (place, *(stem + end for end in _SCRIPT_ENDINGS), *(f"{place}/index{end}" for end in _SCRIPT_ENDINGS))
        )

    def _go(self, _: str, name: str) -> tuple[str, ...]:
        parts = name.strip('"').split("/")
        if "." not in parts[0]:
            return ()
        for start in range(1, len(parts)):
            files = self._by_directory.get("/".join(parts[start:]), ())
            package = [path for path in files if path.endswith(".go") and not path.endswith("_test.go")]
            if package:
                return tuple(package[:_SAME_FOLDER_MOST])
        return ()

    def _rust(self, directory: str, name: str) -> tuple[str, ...]:
        first, *parts = name.replace("::{", "::").split("::")
        if first == "crate":
            base = _up_to(directory, "src")
        elif first == "super":
            base = posixpath.dirname(directory)
        else:
            base, parts = directory, [first, *parts]
        while base is not None and parts:
            place = posixpath.join(base, *parts)
            found = self._first((f"{place}.rs", f"{place}/mod.rs"))
            if found:
                return found
            parts = parts[:-1]
        return ()

    def _java(self, _: str, name: str) -> tuple[str, ...]:
        parts = name.removeprefix("static ").removesuffix(".*").split(".")
        for end in (len(parts), len(parts) - 1):
            for ending in (".java", ".kt"):
                wanted = "/".join(parts[:end]) + ending
                found = self._ending_with(wanted)
                if end > 1 and found:
                    return found
        return ()

    def _c(self, directory: str, name: str) -> tuple[str, ...]:
        wanted = name.strip('"<>')
        beside = posixpath.normpath(posixpath.join(directory, wanted))
        return self._first((beside,)) or self._ending_with(wanted)

    def _ending_with(self, wanted: str) -> tuple[str, ...]:
        same = [path for path in self._by_name.get(posixpath.basename(wanted), ()) if f"/{path}".endswith(f"/{wanted}")]
        return tuple(same) if len(same) == 1 else ()

    def _first(self, candidates: Iterable[str]) -> tuple[str, ...]:
        return next(((path,) for path in candidates if path in self._known), ())


def _up_to(directory: str, name: str) -> str | None:
    parts = directory.split("/")
    if name not in parts:
        return None
    return "/".join(parts[: len(parts) - parts[::-1].index(name)])


_RULES: dict[str, Callable[[Modules, str, str], tuple[str, ...]]] = {
    "python": Modules._python_file,
    "go": Modules._go,
    "rust": Modules._rust,
    "java": Modules._java,
    "kotlin": Modules._java,
    **dict.fromkeys(("c", "cpp", "c++"), Modules._c),
    **dict.fromkeys(_SCRIPT_LANGUAGES, Modules._script),
}


def import_graph(files: Iterable[SourceFile]) -> dict[str, frozenset[str]]:
    """For each path the paths that it imports; a file never imports itself."""
    known = tuple(files)
    modules = Modules(file.path for file in known)
    return {
        file.path: frozenset(
            path for name in file.imports for path in modules.find(file.path, file.language, name) if path != file.path
        )
        for file in known
    }


def fan_in(graph: Mapping[str, frozenset[str]]) -> dict[str, int]:
    """How many files import each."""
    count: dict[str, int] = defaultdict(int)
    for imported in graph.values():
        for path in imported:
            count[path] += 1
    return dict(count)
