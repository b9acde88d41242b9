"""`func durable ...` in the app of a test module's `folder`."""

import pytest

from durable_app.cli.main import main


@pytest.fixture
def func(folder, capsys):
    """Runs a command that must succeed; its output."""

    def run(*arguments):
        code = main(["durable", *arguments])
        told = capsys.readouterr()
        assert code == 0, told.err
        return told.out

    return run


@pytest.fixture
def refused(folder, capsys):
    """Runs a command that must be refused; what it says on stderr."""

    def run(*arguments, code=1):
        assert main(["durable", *arguments]) == code
        told = capsys.readouterr()
        assert not told.out
        return told.err

    return run
