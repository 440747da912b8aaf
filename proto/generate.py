"""Generate the committed protobuf modules and their typed stubs.

    python proto/generate.py [OUTPUT_DIRECTORY]

Every ``proto/a/b/c.proto`` becomes ``a/b/c_pb2.py`` and ``a/b/c_pb2.pyi`` below OUTPUT_DIRECTORY, which is the
repository itself unless given. ``protoc`` and ``protoc-gen-mypy`` come from the ``dev`` extra, which pins both.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

PROTO_ROOT = Path(__file__).resolve().parent


def generate(output: Path) -> list[Path]:
    """Write the generated files below ``output`` and return their paths relative to it.

    Raises:
        FileNotFoundError: ``protoc`` is not installed beside this interpreter.
        subprocess.CalledProcessError: ``protoc`` rejected a file; its own words are on standard error.
    """
    scripts = sysconfig.get_path("scripts")
    environment = {**os.environ, "PATH": scripts + os.pathsep + os.environ.get("PATH", "")}
    sources = sorted(path.relative_to(PROTO_ROOT) for path in PROTO_ROOT.rglob("*.proto"))
    subprocess.run(  # noqa: S603 - fixed program, arguments from our own tree
        [
            str(Path(scripts) / "protoc"),
            f"--proto_path={PROTO_ROOT}",
            f"--python_out={output}",
            f"--mypy_out=readable_stubs,quiet:{output}",
            *map(str, sources),
        ],
        check=True,
        env=environment,
    )
    stems = [source.with_name(f"{source.stem}_pb2") for source in sources]
    return [stem.with_suffix(suffix) for stem in stems for suffix in (".py", ".pyi")]


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PROTO_ROOT.parent
    for generated in generate(target):
        print(target / generated)
