"""Execute the example notebooks from top to bottom; ``make notebooks`` runs it.

Owns that they still run: each in a copy of this folder, so that the databases which
they write vanish afterwards, and an error in any cell ends with status 1. With
``--write`` the notebooks keep their new outputs, and the last picture of each goes to
``docs/pictures``.
"""

from __future__ import annotations

import argparse
import base64
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config

HERE = Path(__file__).resolve().parent
PICTURES = HERE.parent / "docs" / "pictures"
CELL_LIMIT_S = 120
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(path: Path, folder: Path) -> Any:
    """The notebook with the outputs of a run whose working folder is ``folder``.

    Raises:
        CellExecutionError: a cell raised; the message names it.
    """
    notebook = nbformat.read(path, as_version=4)
    # Sockets in a folder that only this user can read, instead of open ports.
    sockets = {"transport": "ipc", "ip": str(folder.parent / path.stem)}
    client = NotebookClient(
        notebook,
        config=Config(KernelManager=sockets),
        kernel_name="python3",
        timeout=CELL_LIMIT_S,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
    return notebook


def last_picture(notebook: Any) -> bytes:
    """The PNG file that the notebook showed last."""
    shown = [
        output.data["image/png"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    return base64.b64decode(shown[-1])


def keep(notebook: Any, path: Path) -> None:
    """Replace the committed notebook and its picture."""
    nbformat.validate(notebook)
    nbformat.write(notebook, path)
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{path.stem}.png").write_bytes(last_picture(notebook))


def main() -> int:
    """Run every notebook of this folder; 1 when a cell raised."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="keep the new outputs")
    arguments = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "examples"
        shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("*.db", "*.ipynb"))
        # What the kernel writes on its own account goes there, too.
        os.environ |= {"IPYTHONDIR": work, "JUPYTER_RUNTIME_DIR": work}
        for path in sorted(HERE.glob("*.ipynb")):
            begin = time.perf_counter()
            try:
                notebook = execute(path, folder)
            except CellExecutionError as error:
                print(f"{path.name}: FAILED\n{error}", file=sys.stderr)
                failed = True
                continue
            print(f"{path.name}: {time.perf_counter() - begin:.1f} s", flush=True)
            if arguments.write:
                keep(notebook, path)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
