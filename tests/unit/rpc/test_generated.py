"""The generated code: current, and able to live beside that of another SDK."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from durable_app.rpc.generated import taskhub_pb2 as pb

PROTO = "durable_app/rpc/taskhub.proto"
ROOT = Path(__file__).resolve().parents[3]


def compiled(folder: Path) -> FileDescriptorProto:
    """What a compiler of today makes of the file."""
    protoc = pytest.importorskip("grpc_tools.protoc", reason="grpcio-tools is not installed")
    target = folder / "set"
    known_types = files("grpc_tools") / "_proto"
    status = protoc.main(
        ["protoc", f"-I{ROOT}", f"-I{known_types}", f"--descriptor_set_out={target}", PROTO]
    )
    assert status == 0
    return without_json_names(FileDescriptorSet.FromString(target.read_bytes()).file[0])


def without_json_names(file: FileDescriptorProto) -> FileDescriptorProto:
    for message in file.message_type:
        for part in (message, *message.nested_type):
            for field in part.field:
                field.ClearField("json_name")
    return file


def test_the_generated_code_is_what_the_file_says(tmp_path):
    ours = FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(ours)
    assert without_json_names(ours) == compiled(tmp_path), (
        "run `make proto` and commit what it writes"
    )


def test_names_are_our_own():
    assert pb.DESCRIPTOR.name == PROTO
    assert pb.DESCRIPTOR.package == "durable_app.taskhub.v1"


def test_the_generated_code_checks_for_no_version_of_protobuf():
    text = Path(pb.__file__).read_text(encoding="utf-8")
    assert "runtime_version" not in text


def test_the_official_sdk_can_be_loaded_beside_it():
    theirs = pytest.importorskip(
        "durabletask.internal.orchestrator_service_pb2", reason="durabletask is not installed"
    )
    sent = theirs.ActivityRequest(name="charge")
    sent.input.value = ""
    arrived = pb.ActivityRequest.FromString(sent.SerializeToString())
    assert (arrived.name, arrived.HasField("input")) == ("charge", True)
