"""What a path alone gives away: vendored code, generated files, and content that is never text."""

from __future__ import annotations

import re

VENDORED = re.compile(
    rb"(?:^|/)(?:node_modules|bower_components|jspm_packages|web_modules|vendor|vendors|third[_-]?party|3rd[_-]?party"
    rb"|external_libs|Godeps/_workspace|Carthage/(?:Build|Checkouts)|Pods|site-packages|dist-packages|\.venv|\.eggs"
    rb"|__pypackages__|\.bundle|\.yarn/(?:releases|plugins|sdks|cache)|\.gradle|\.cargo/registry)/",
    re.IGNORECASE,
)

LOCK_FILES = frozenset(
    b"""package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock deno.lock cargo.lock poetry.lock
    uv.lock pdm.lock pipfile.lock pixi.lock conda-lock.yml composer.lock gemfile.lock go.sum go.work.sum flake.lock
    mix.lock rebar.lock pubspec.lock packages.lock.json project.assets.json gradle.lockfile podfile.lock
    package.resolved cartfile.resolved .terraform.lock.hcl conan.lock stack.yaml.lock cabal.project.freeze
    module.bazel.lock paket.lock dub.selections.json chart.lock berksfile.lock""".split()
)

GENERATED_NAMES: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("a minified file", re.compile(rb"[.-]min\.(?:js|mjs|cjs|css|html)$")),
    ("a bundle", re.compile(rb"\.(?:bundle|chunk)\.(?:js|mjs|css)$")),
    ("a source map", re.compile(rb"\.(?:js|mjs|cjs|css|ts|wasm)\.map$")),
    (
        "protocol buffer output",
        re.compile(rb"(?:_pb2(?:_grpc)?\.pyi?|\.pb(?:\.gw)?\.go|\.pb\.(?:cc|h)|_pb\.(?:js|d\.ts))$"),
    ),
    ("designer output", re.compile(rb"\.(?:designer\.(?:cs|vb)|g\.cs|g\.i\.cs|g\.dart|freezed\.dart)$")),
    ("a test snapshot", re.compile(rb"(?:^|/)__snapshots__/.*\.snap$")),
)

BINARY_EXTENSIONS = frozenset(
    b"""png jpg jpeg gif bmp ico icns webp tif tiff psd avif heic mp3 mp4 m4a m4v mov avi mkv webm ogg ogv wav flac aac
    zip gz tgz bz2 xz zst lz4 7z rar tar jar war ear whl egg deb rpm dmg iso apk aab ipa cab msi nupkg crate gem
    exe dll so dylib a o obj lib pdb class pyc pyo wasm bin dat elf ko node
    pdf doc docx xls xlsx ppt pptx odt ods odp epub
    ttf otf woff woff2 eot sqlite sqlite3 db mdb parquet avro orc feather arrow npy npz pkl pickle pt pth onnx
    safetensors gguf h5 hdf5 tflite mo gmo blend fbx glb stl swf jks keystore p12 pfx der""".split()
)


def binary_extension(path: bytes) -> str | None:
    """The extension, where files that have it are never text."""
    stem, dot, extension = path.rsplit(b"/", 1)[-1].lower().rpartition(b".")
    return f".{extension.decode()}" if dot and stem and extension in BINARY_EXTENSIONS else None


def vendored_directory(path: bytes) -> str | None:
    """The directory that says that somebody else wrote this."""
    match = VENDORED.search(path)
    return match[0].decode("utf-8", "backslashreplace").lstrip("/") if match else None


def generated_name(path: bytes) -> str | None:
    """What kind of generated file the name says this is."""
    name = path.rsplit(b"/", 1)[-1].lower()
    if name in LOCK_FILES:
        return "a lock file"
    return next((kind for kind, named in GENERATED_NAMES if named.search(path.lower())), None)
