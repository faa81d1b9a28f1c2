import logging

import pytest

from .tiny import tiny


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Folder of a run that was never interrupted."""
    folder = tmp_path_factory.mktemp("run") / "finished"
    tiny(folder).train()
    return folder


@pytest.fixture
def said(caplog):
    """Give what has been reported since the last call."""
    caplog.set_level(logging.INFO, logger="sb3_distral")

    def text() -> str:
        messages = "\n".join(caplog.messages)
        caplog.clear()
        return messages

    return text
