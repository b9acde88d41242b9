"""The generated code: current, and able to live beside that of another SDK."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from durable_app.rpc.generated import taskhub_pb2 as pb

PROTO = "durable_app/rpc/taskhub.proto"
ROOT = Path(__file__).resolve().parents[3]


def compiled(folder: Path) -> FileDescriptorProto:
    """What a compiler of today makes of the file, less what it adds for JSON."""
    protoc = pytest.importorskip("grpc_tools.protoc", reason="no compiler of protobuf: pip install")
    target = folder / "set"
    status = protoc.main(["protoc", f"-I{ROOT}", f"--descriptor_set_out={target}", PROTO])
    assert status == 0
    made = FileDescriptorSet.FromString(target.read_bytes()).file[0]
    for message in made.message_type:
        for part in (message, *message.nested_type):
            for field in part.field:
                field.ClearField("json_name")
    return made


def test_the_generated_code_is_what_the_file_says(tmp_path):
    ours = FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(ours)
    for message in ours.message_type:
        for part in (message, *message.nested_type):
            for field in part.field:
                field.ClearField("json_name")
    assert ours == compiled(tmp_path), "run `make proto` and commit what it writes"


def test_names_are_our_own():
    assert pb.DESCRIPTOR.name == PROTO
    assert pb.DESCRIPTOR.package == "durable_app.taskhub.v1"


def test_the_generated_code_checks_for_no_version_of_protobuf():
    text = Path(pb.__file__).read_text(encoding="utf-8")
    assert "runtime_version" not in text
