"""Reads an unsigned demonstration watchlist from a file."""

from pathlib import Path

from device.errors import WatchlistError
from device.protocol.watchlist import DemonstrationList, decode_list


def load_list(path: Path) -> DemonstrationList:
    """Read and check a list. Raises WatchlistError with the file's name."""
    try:
        return decode_list(path.read_bytes())
    except FileNotFoundError as error:
        msg = f"The watchlist {path} does not exist: make one with `passerby-desk enrol`."
        raise WatchlistError(msg) from error
    except OSError as error:
        msg = f"The watchlist {path} cannot be read ({error.strerror or error})."
        raise WatchlistError(msg) from error
    except WatchlistError as error:
        msg = f"The watchlist {path} is refused: {error}."
        raise WatchlistError(msg) from error
