"""A name is resolved by its language's rule, and only to files of the repository."""

from __future__ import annotations

import pytest

from services.reviewer.domain.imports import fan_in, import_graph
from tests.unit.services.reviewer.scene import a_file

PATHS = (
    "src/shop/__init__.py",
    "src/shop/db/__init__.py",
    "src/shop/db/pool.py",
    "src/shop/web.py",
    "web/app/index.ts",
    "web/app/api.ts",
    "web/lib/http/index.js",
    "cmd/main.go",
    "pkg/store/store.go",
    "pkg/store/store_test.go",
    "core/src/lib.rs",
    "core/src/net/mod.rs",
    "core/src/net/dns.rs",
    "java/src/main/java/org/shop/Cart.java",
    "native/list.h",
    "native/list.c",
)


@pytest.mark.parametrize(
    ("importer", "language", "name", "found"),
    [
        ("src/shop/web.py", "python", "shop.db.pool", {"src/shop/db/pool.py"}),
        ("src/shop/web.py", "python", "shop.db.pool.Pool", {"src/shop/db/pool.py"}),
        ("src/shop/web.py", "python", ".db", {"src/shop/db/__init__.py"}),
        ("src/shop/db/pool.py", "python", "..web", {"src/shop/web.py"}),
        ("src/shop/web.py", "python", "os.path", set()),
        ("web/app/index.ts", "typescript", "./api", {"web/app/api.ts"}),
        ("web/app/index.ts", "typescript", "./api.js", {"web/app/api.ts"}),
        ("web/app/index.ts", "typescript", "../lib/http", {"web/lib/http/index.js"}),
        ("web/app/index.ts", "typescript", "react", set()),
        ("cmd/main.go", "go", "github.com/acme/shop/pkg/store", {"pkg/store/store.go"}),
        ("cmd/main.go", "go", "errors", set()),
        ("core/src/lib.rs", "rust", "crate::net::dns::Resolver", {"core/src/net/dns.rs"}),
        ("core/src/lib.rs", "rust", "net", {"core/src/net/mod.rs"}),
        ("core/src/lib.rs", "rust", "std::io", set()),
        ("cmd/main.go", "java", "org.shop.Cart", {"java/src/main/java/org/shop/Cart.java"}),
        ("native/list.c", "c", '"list.h"', {"native/list.h"}),
        ("native/list.c", "c", "<stdio.h>", set()),
    ],
)
def test_a_name_means_a_file_of_the_repository_or_a_library(
    importer: str, language: str, name: str, found: set[str]
) -> None:
    files = [a_file(path) for path in PATHS if path != importer] + [
        a_file(importer, language=language, imports=(name,))
    ]

    assert import_graph(files)[importer] == found


def test_fan_in_counts_importing_files() -> None:
    files = [a_file("a.py"), a_file("b.py", imports=("a", "a")), a_file("c.py", imports=("a",))]

    assert fan_in(import_graph(files)) == {"a.py": 2}
