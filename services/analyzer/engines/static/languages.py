"""Which language a file is written in, what part it plays, and what the parser calls things in that language."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Literal

Role = Literal["source", "test", "example", "config", "docs"]


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """The node kinds of one tree-sitter grammar. ``logic`` are operators that add a path, such as ``&&``."""

    functions: tuple[str, ...]
    containers: tuple[str, ...] = ()
    decisions: tuple[str, ...]
    nesting: tuple[str, ...]
    logic: tuple[str, ...] = ()
    logic_kinds: tuple[str, ...] = ("binary_expression",)
    comments: tuple[str, ...] = ("comment",)
    imports: tuple[str, ...] = ()


_C_LOGIC = ("&&", "||")
_C_LOOPS = ("for_statement", "while_statement", "do_statement")
_PYTHON = Grammar(
    functions=("function_definition",),
    containers=("class_definition",),
    decisions=(
        *("if_statement", "elif_clause", "for_statement", "while_statement", "except_clause", "case_clause"),
        *("conditional_expression", "boolean_operator", "for_in_clause", "if_clause"),
    ),
    nesting=("if_statement", "for_statement", "while_statement", "try_statement", "match_statement"),
    imports=("import_statement", "import_from_statement"),
)
_JAVASCRIPT = Grammar(
    functions=(
        *("function_declaration", "function_expression", "arrow_function", "method_definition"),
        *("generator_function_declaration", "generator_function"),
    ),
    containers=("class_declaration", "class"),
    decisions=("if_statement", *_C_LOOPS, "for_in_statement", "switch_case", "catch_clause", "ternary_expression"),
    nesting=("if_statement", *_C_LOOPS, "for_in_statement", "switch_statement", "catch_clause"),
    logic=("&&", "||", "??"),
)
_C = Grammar(
    functions=("function_definition",),
    decisions=("if_statement", *_C_LOOPS, "case_statement", "conditional_expression"),
    nesting=("if_statement", *_C_LOOPS, "switch_statement"),
    logic=_C_LOGIC,
)

GRAMMARS: dict[str, Grammar] = {
    "python": _PYTHON,
    "javascript": _JAVASCRIPT,
    "typescript": _JAVASCRIPT,
    "tsx": _JAVASCRIPT,
    "java": Grammar(
        functions=("method_declaration", "constructor_declaration", "compact_constructor_declaration"),
        containers=("class_declaration", "interface_declaration", "enum_declaration", "record_declaration"),
        decisions=(
            *("if_statement", *_C_LOOPS, "enhanced_for_statement", "switch_label", "catch_clause"),
            "ternary_expression",
        ),
        nesting=("if_statement", *_C_LOOPS, "enhanced_for_statement", "switch_expression", "catch_clause"),
        logic=_C_LOGIC,
        comments=("line_comment", "block_comment"),
    ),
    "go": Grammar(
        functions=("function_declaration", "method_declaration", "func_literal"),
        decisions=("if_statement", "for_statement", "expression_case", "type_case", "communication_case"),
        nesting=(
            *("if_statement", "for_statement", "expression_switch_statement", "type_switch_statement"),
            "select_statement",
        ),
        logic=_C_LOGIC,
    ),
    "rust": Grammar(
        functions=("function_item", "closure_expression"),
        containers=("impl_item", "trait_item", "mod_item"),
        decisions=("if_expression", "match_arm", "for_expression", "while_expression", "loop_expression"),
        nesting=("if_expression", "match_expression", "for_expression", "while_expression", "loop_expression"),
        logic=_C_LOGIC,
        comments=("line_comment", "block_comment"),
    ),
    "c": _C,
    "cpp": Grammar(
        functions=("function_definition", "lambda_expression"),
        containers=("class_specifier", "struct_specifier", "namespace_definition"),
        decisions=(*_C.decisions, "for_range_loop", "catch_clause"),
        nesting=(*_C.nesting, "for_range_loop", "catch_clause"),
        logic=_C_LOGIC,
    ),
    "csharp": Grammar(
        functions=("method_declaration", "constructor_declaration", "local_function_statement", "lambda_expression"),
        containers=("class_declaration", "struct_declaration", "interface_declaration", "record_declaration"),
        decisions=(
            *("if_statement", *_C_LOOPS, "foreach_statement", "switch_section", "switch_expression_arm"),
            *("catch_clause", "conditional_expression"),
        ),
        nesting=("if_statement", *_C_LOOPS, "foreach_statement", "switch_statement", "catch_clause"),
        logic=("&&", "||", "??"),
    ),
    "ruby": Grammar(
        functions=("method", "singleton_method"),
        containers=("class", "module"),
        decisions=(
            *("if", "unless", "while", "until", "for", "elsif", "when", "rescue", "conditional", "in_clause"),
            *("if_modifier", "unless_modifier", "while_modifier", "until_modifier"),
        ),
        nesting=("if", "unless", "while", "until", "for", "case", "begin"),
        logic=("&&", "||", "and", "or"),
        logic_kinds=("binary",),
    ),
    "php": Grammar(
        functions=("function_definition", "method_declaration", "anonymous_function", "arrow_function"),
        containers=("class_declaration", "interface_declaration", "trait_declaration"),
        decisions=(
            *("if_statement", "else_if_clause", *_C_LOOPS, "foreach_statement", "case_statement", "catch_clause"),
            *("conditional_expression", "match_conditional_expression"),
        ),
        nesting=("if_statement", *_C_LOOPS, "foreach_statement", "switch_statement", "catch_clause"),
        logic=("&&", "||", "??", "and", "or"),
    ),
    "kotlin": Grammar(
        functions=("function_declaration", "anonymous_function"),
        containers=("class_declaration", "object_declaration"),
        decisions=(
            *("if_expression", "for_statement", "while_statement", "do_while_statement", "when_entry", "catch_block"),
            *("conjunction_expression", "disjunction_expression", "elvis_expression"),
        ),
        nesting=("if_expression", "for_statement", "while_statement", "do_while_statement", "when_expression"),
        comments=("line_comment", "multiline_comment"),
    ),
    "swift": Grammar(
        functions=("function_declaration", "init_declaration"),
        containers=("class_declaration", "protocol_declaration"),
        decisions=(
            *("if_statement", "guard_statement", "for_statement", "while_statement", "repeat_while_statement"),
            *("switch_entry", "catch_block", "ternary_expression", "conjunction_expression", "disjunction_expression"),
        ),
        nesting=("if_statement", "for_statement", "while_statement", "repeat_while_statement", "switch_statement"),
        comments=("comment", "multiline_comment"),
    ),
    "scala": Grammar(
        functions=("function_definition",),
        containers=("class_definition", "object_definition", "trait_definition"),
        decisions=("if_expression", "for_expression", "while_expression", "case_clause"),
        nesting=("if_expression", "for_expression", "while_expression", "match_expression"),
        logic=_C_LOGIC,
        logic_kinds=("infix_expression",),
        comments=("comment", "block_comment"),
    ),
    "bash": Grammar(
        functions=("function_definition",),
        decisions=(
            *("if_statement", "elif_clause", "for_statement", "c_style_for_statement", "while_statement"),
            "case_item",
        ),
        nesting=("if_statement", "for_statement", "c_style_for_statement", "while_statement", "case_statement"),
    ),
    "lua": Grammar(
        functions=("function_declaration", "function_definition"),
        decisions=("if_statement", "elseif_statement", "for_statement", "while_statement", "repeat_statement"),
        nesting=("if_statement", "for_statement", "while_statement", "repeat_statement"),
        logic=("and", "or"),
    ),
    "solidity": Grammar(
        functions=("function_definition", "constructor_definition", "modifier_definition"),
        containers=("contract_declaration", "library_declaration"),
        decisions=("if_statement", "for_statement", "while_statement", "do_while_statement", "ternary_expression"),
        nesting=("if_statement", "for_statement", "while_statement", "do_while_statement"),
        logic=_C_LOGIC,
    ),
}
"""The languages whose functions are measured."""

_EXTENSIONS = {
    "python": "py pyi pyw",
    "javascript": "js mjs cjs jsx",
    "typescript": "ts mts cts",
    "tsx": "tsx",
    "java": "java",
    "go": "go",
    "rust": "rs",
    "c": "c h",
    "cpp": "cc cpp cxx hpp hh hxx ipp cu",
    "csharp": "cs",
    "ruby": "rb rake gemspec",
    "php": "php phtml",
    "kotlin": "kt kts",
    "swift": "swift",
    "scala": "scala sc",
    "bash": "sh bash zsh ksh bats",
    "lua": "lua",
    "solidity": "sol",
    "elixir": "ex exs",
    "haskell": "hs",
    "dart": "dart",
    "zig": "zig",
    "nix": "nix",
    "perl": "pl pm",
    "r": "r",
    "sql": "sql",
    "powershell": "ps1 psm1",
    "objective-c": "m mm",
    "html": "html htm xhtml",
    "vue": "vue",
    "svelte": "svelte",
    "css": "css scss sass less",
    "json": "json json5 jsonc ipynb",
    "yaml": "yml yaml",
    "toml": "toml",
    "ini": "ini cfg conf properties",
    "dotenv": "env",
    "xml": "xml xsd svg plist",
    "hcl": "tf tfvars hcl",
    "protobuf": "proto",
    "graphql": "graphql gql",
    "markdown": "md markdown mdx",
    "restructuredtext": "rst",
    "text": "txt",
}
_BY_EXTENSION = {extension: name for name, extensions in _EXTENSIONS.items() for extension in extensions.split()}
_BY_NAME = {
    "dockerfile": "dockerfile",
    "containerfile": "dockerfile",
    "makefile": "make",
    "gnumakefile": "make",
    "rakefile": "ruby",
    "gemfile": "ruby",
    "vagrantfile": "ruby",
    "jenkinsfile": "groovy",
    ".env": "dotenv",
    ".bashrc": "bash",
    ".bash_profile": "bash",
    ".profile": "bash",
    ".npmrc": "ini",
    ".pypirc": "ini",
    ".netrc": "ini",
    "sconstruct": "python",
    "wscript": "python",
}
_BY_INTERPRETER = {
    "python": "python",
    "pypy": "python",
    "bash": "bash",
    "sh": "bash",
    "zsh": "bash",
    "ksh": "bash",
    "dash": "bash",
    "node": "javascript",
    "deno": "typescript",
    "ruby": "ruby",
    "php": "php",
    "perl": "perl",
    "lua": "lua",
}
_SHEBANG = re.compile(rb"^#!\s*(?:\S*/)?(?:env\s+(?:-\S+\s+)*)?(?:\S*/)?([A-Za-z]+)")
_CPP_SIGNS = re.compile(
    rb"^\s*(?:class\s+\w+[^;]*$|namespace\b|template\s*<|using\s+\w+|public:|private:)", re.MULTILINE
)

_CONFIG = frozenset({"json", "yaml", "toml", "ini", "dotenv", "xml", "hcl", "dockerfile", "make"})
_DOCS = frozenset({"markdown", "restructuredtext", "text"})
_TEST_FOLDERS = frozenset(
    {"test", "tests", "testing", "__tests__", "spec", "specs", "e2e", "fixtures", "testdata", "__mocks__", "mocks"}
    | {"idlelib_test", "idle_test", "benches", "benchmark", "benchmarks", "testutil", "testutils", "test_data"}
)
_EXAMPLE_FOLDERS = frozenset({"example", "examples", "sample", "samples", "demo", "demos", "tutorial", "tutorials"})
_DOC_FOLDERS = frozenset({"doc", "docs"})
_TEST_NAME = re.compile(
    r"^(?:tests?|conftest)\.|^test[_-]|[_-](?:tests?|spec)\.[a-z]+$|[a-z0-9]Tests?\.(?:java|kt|cs|scala|swift|php)$"
    r"|\.(?:test|spec|e2e|bench|cy|stories|test-d|spec-d)\.[a-z]+$"
)
_EXAMPLE_NAME = re.compile(r"(?:^|[._-])(?:example|sample|template|dist)(?:[._-]|$)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """All that the path says about the content. Two files of one kind and content have the same analysis."""

    language: str
    role: Role
    form: str = ""
    """A further distinction within the language: ``init`` and ``stub`` in Python, ``entry`` for main programs."""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.language, self.form, self.role)))


def kind_of(path: str, content: bytes) -> Kind:
    """Told from the path, and from the first line where the name says nothing."""
    kind = _kind_of_path(path)
    if kind.language == "c" and path.endswith(".h") and _CPP_SIGNS.search(content[:20_000]):
        return Kind(language="cpp", role=kind.role)
    if kind.language != "unknown":
        return kind
    return Kind(language=_language_of_shebang(content), role=kind.role)


@cache
def _kind_of_path(path: str) -> Kind:
    pure = PurePosixPath(path.replace("\\", "/"))
    language = _language_of_name(pure.name.lower())
    return Kind(language=language, role=_role(pure, language), form=_form(pure.name, language))


def _language_of_name(name: str) -> str:
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name.startswith((".env.", "dockerfile.")):
        return "dotenv" if name.startswith(".env") else "dockerfile"
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem:
        return "unknown"
    return _BY_EXTENSION.get(extension, "text")


def _language_of_shebang(content: bytes) -> str:
    match = _SHEBANG.match(content[:200])
    return _BY_INTERPRETER.get(match[1].decode().lower(), "text") if match else "text"


def _form(name: str, language: str) -> str:
    if language == "python":
        return "stub" if name.endswith(".pyi") else {"__init__.py": "init", "__main__.py": "entry"}.get(name, "")
    return "entry" if name in {"main.rs", "build.rs", "main.go"} else ""


def _role(path: PurePosixPath, language: str) -> Role:
    folders = {part.lower() for part in path.parts[:-1]}
    if folders & _TEST_FOLDERS or _TEST_NAME.search(path.name) or any(f.startswith("test_") for f in folders):
        return "test"
    if folders & _EXAMPLE_FOLDERS or _EXAMPLE_NAME.search(path.name):
        return "example"
    if language in _DOCS or folders & _DOC_FOLDERS:
        return "docs"
    return "config" if language in _CONFIG else "source"
