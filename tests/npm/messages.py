"""The messages of the .proto files beside this, compiled when they are needed."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet

PROTOS = Path(__file__).parent / "protos"


def compiled(*files: str, folder: Path = PROTOS) -> bytes:
    """Return the FileDescriptorSet of some .proto files and their imports, with their comments."""
    protoc = Path(sysconfig.get_path("scripts")) / "protoc"
    options = ["--include_imports", "--include_source_info", "--descriptor_set_out=/dev/stdout"]
    ran = subprocess.run([protoc, f"-I{folder}", *options, *files], capture_output=True, check=True)
    return ran.stdout


class Messages:
    """Classes of the messages in a FileDescriptorSet, by full names: ``Messages(…)["notes.v1.Note"]``."""

    def __init__(self, descriptors: bytes, pool: Any = None) -> None:
        self._pool = pool or descriptor_pool.DescriptorPool()
        for file in FileDescriptorSet.FromString(descriptors).file:
            if pool is None or not file.name.startswith("google/"):
                self._pool.AddSerializedFile(file.SerializeToString())

    def __getitem__(self, full_name: str) -> Any:
        return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(full_name))
