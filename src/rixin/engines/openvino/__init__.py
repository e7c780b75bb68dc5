"""Generation on this machine's CPU with OpenVINO. The server imports `OpenVinoEngine` only; the rest is the worker."""

from rixin.engines.openvino.engine import OpenVinoEngine

__all__ = ["OpenVinoEngine"]
