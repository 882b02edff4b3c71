"""Files that a fleet file names."""

from __future__ import annotations

from pathlib import Path

from upkeep import settings


def find(text: str, folder: Path | None) -> Path:
    """Return where a file lies: beside the fleet file, else in ``UPKEEP_HOME``, else among Upkeep's own samples.

    Parameters
    ----------
    folder
        That of the fleet file; ``None`` where there is none.

    Raises
    ------
    ValueError
        It lies in none of them; or is a directory.
    """
    places = [*([folder] if folder else []), settings.checkout(), settings.own_files()]
    for place in places:
        if (place / text).is_file():
            return (place / text).resolve()
    raise ValueError(f"no file '{text}' beside the fleet file or in {settings.checkout()}; write it, or its path")
