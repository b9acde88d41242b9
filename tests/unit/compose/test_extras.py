"""What is said where gRPC is not installed."""

from __future__ import annotations

import pytest

from durable_app.compose.extras import needs_grpc
from durable_app.errors import ConfigError


@pytest.mark.parametrize("name", ["grpc", "grpc.aio", "google.protobuf"])
def test_the_extra_is_named(name):
    with pytest.raises(ConfigError, match=r'pip install "durable-app\[azure\]"'), needs_grpc():
        raise ModuleNotFoundError(name=name)


def test_other_faults_stay_what_they_are():
    with pytest.raises(ModuleNotFoundError), needs_grpc():
        raise ModuleNotFoundError(name="durable_app.nothing")
