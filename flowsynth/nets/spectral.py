"""Spectral normalisation, folded into the weights when they are loaded (Miyato et al. 2018, equation 8)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from flowsynth.nets.architecture import State

__all__ = ["folded"]

_ORIGINAL, _U, _V = "weight_orig", "weight_u", "weight_v"


def folded(state: State) -> dict[str, Tensor]:
    """Divide every ``weight_orig`` by its largest singular value, as its trainer last estimated it: u' W v.

    Early files of torch keep u alone; v is then the next step of the power iteration from it.

    Args:
        state: a checkpoint's tensors; those of other names stay as they are.

    Returns:
        Tensors by name, ``weight`` in place of the three.

    Raises:
        ValueError: an estimate is missing, or has another shape than its weight.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        stem, _, last = name.rpartition(".")
        if last in (_U, _V):
            if f"{stem}.{_ORIGINAL}" not in state:
                raise ValueError(f"it has a tensor {name!r}, and no {stem}.{_ORIGINAL}")
        elif last == _ORIGINAL:
            found[f"{stem}.weight"] = _normalised(state, stem, tensor)
        else:
            found[name] = tensor
    return found


def _normalised(state: State, stem: str, weight: Tensor) -> Tensor:
    if f"{stem}.{_U}" not in state:
        raise ValueError(f"it has a tensor '{stem}.{_ORIGINAL}', and no {stem}.{_U}")
    matrix, u = weight.float().flatten(1), state[f"{stem}.{_U}"].float()
    v = state.get(f"{stem}.{_V}")
    if u.shape != matrix.shape[:1] or (v is not None and v.shape != matrix.shape[1:]):
        raise ValueError(f"tensors '{stem}.{_U}' and '{stem}.{_V}' do not fit its weight")
    if v is None:
        v = F.normalize(matrix.T @ u, dim=0)
        u = F.normalize(matrix @ v, dim=0)
    return weight.float() / (u @ (matrix @ v.float()))
