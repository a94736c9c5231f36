"""Files out of the hub's own cache, which goes on where a broken download ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowsynth.core.errors import InputError


class HubError(InputError):
    """Something of the hub is not here and could not be fetched; says how to get it.

    Attributes:
        reason: Why it could not be fetched.
        command: What fetches it.
    """

    def __init__(self, wanted: str, arguments: str, instead: str, error: Exception) -> None:
        from huggingface_hub import constants

        first = str(error).strip().partition("\n")[0]
        self.reason = f"{type(error).__name__}: {first}"
        self.command = f"hf download {arguments}"
        super().__init__(
            f"{wanted} is not in the hub's cache ({constants.HF_HUB_CACHE}) and could not be fetched"
            f" ({self.reason}); where the hub can be reached, run: {self.command};"
            f" or give {instead}"
        )


def hub_file(repository: str, revision: str, name: str, *, offline: bool = False) -> Path:
    """Returns the local copy of one file of a repository.

    Args:
        repository: ``ORG/NAME``.
        revision: A commit.
        name: The file, which may lie in folders.
        offline: Never touch the network.

    Raises:
        HubError: It is not here and can't be fetched.
    """
    from huggingface_hub import constants, hf_hub_download

    try:
        return Path(
            hf_hub_download(
                repository, name, revision=revision, local_files_only=offline or constants.HF_HUB_OFFLINE
            )
        )
    except (OSError, ValueError) as error:
        wanted = f"{name} of {repository!r} at revision {revision}"
        arguments = f"{repository} {name} --revision {revision}"
        raise HubError(wanted, arguments, "a local file", error) from None


def hub_folder(
    repository: str,
    revision: str,
    patterns: Sequence[str],
    *,
    but: Sequence[str] | None = None,
    offline: bool = False,
) -> Path:
    """Returns the local copy of a repository, with the files of some patterns in it.

    Args:
        repository: ``ORG/NAME``.
        revision: A commit.
        patterns: Of the files that are needed.
        but: Patterns of files that are not.
        offline: Never touch the network.

    Raises:
        HubError: They are not here and can't be fetched.
    """
    from huggingface_hub import constants, snapshot_download

    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                allow_patterns=list(patterns),
                ignore_patterns=None if but is None else list(but),
                local_files_only=offline or constants.HF_HUB_OFFLINE,
            )
        )
    except (OSError, ValueError) as error:
        wanted = f"hub model {repository!r} at revision {revision}"
        arguments = f"{repository} --revision {revision} --include '*.json' '*.txt' '*.safetensors'"
        raise HubError(wanted, arguments, "a local folder as source", error) from None
