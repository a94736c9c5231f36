"""What is wrong with a file that should hold a workflow."""

from __future__ import annotations

from flowsynth.core.errors import RequestError

EXPECTED = "a ComfyUI workflow: JSON (of its menu or its API), or a PNG, WebP or MP4 that it saved"


class WorkflowFileError(RequestError):
    """A file holds no workflow that can be read; one message."""

    def __init__(self, file: object, found: str, expected: str = EXPECTED) -> None:
        """Say what was expected and what was found."""
        super().__init__(f"{file}: expected {expected}; found {found}")
