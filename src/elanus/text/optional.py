"""Libraries for single languages, imported when an analyzer first asks for them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from elanus.errors import UnsupportedOperation


def library(module: str, what: str, extra: str = "text") -> Any:
    """An optional library.

    Raises:
        UnsupportedOperation: it is not installed; the message says what to install.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise UnsupportedOperation(
            f"{what} needs the optional library {module.partition('.')[0]}; install "
            f"it with: pip install 'elanus[{extra}]'"
        ) from error
