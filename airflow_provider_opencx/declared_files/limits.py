"""Limits the memory and time that fleet files may take."""

from __future__ import annotations

MAX_FILE_BYTES = 10_000_000
"""Bytes of the largest file that is read: a thousand agents with instructions of 10,000 characters each."""

MAX_FLEET_BYTES = 100_000_000
"""Bytes of all files of a fleet."""

MAX_FILES = 10_000
"""Files and folders in a folder that is searched."""

MAX_VALUES = 250_000
"""Values, keys among them, that are written in a file."""

MAX_DEPTH = 200
"""Levels of lists and mappings in a file."""

TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep"

SIZE_OF_VALUE = 100
"""The cost of a value, in addition to its characters."""

MAX_EXPANDED = MAX_VALUES * SIZE_OF_VALUE
"""Characters that a fleet holds, with its defaults, variables and aliases written out."""


class FleetLimitError(ValueError):
    """A file, or the fleet, is larger than what is read; the text says what to do."""


class Budget:
    """How much more of a fleet, or of other declarations, may be read.

    :param what: what is read, for messages. Default ``the fleet``.
    :param parts: into what more of it is split, for messages. Default ``fleets``.
    """

    def __init__(self, what: str = "the fleet", parts: str = "fleets") -> None:
        self._what = what
        self._parts = parts
        self._expanded = 0
        self._bytes = 0

    def spend(self, size: int) -> None:
        """Count a value.

        :param size: its characters, or :data:`SIZE_OF_VALUE` for each value.
        :raises FleetLimitError: if the fleet has too many.
        """
        self._expanded += size
        if self._expanded > MAX_EXPANDED:
            raise FleetLimitError(
                f"expands to more than {MAX_VALUES:,} values, or {MAX_EXPANDED:,} characters, with defaults, variables"
                f" and aliases (*) written out; use fewer of them, or make several {self._parts}, each with a task of"
                " its own"
            )

    def spend_bytes(self, size: int) -> None:
        """Count what was read of a file.

        :raises FleetLimitError: if the files are too large.
        """
        self._bytes += size
        if self._bytes > MAX_FLEET_BYTES:
            raise FleetLimitError(
                f"the files of {self._what} are larger than {MAX_FLEET_BYTES // 1_000_000} MB; make several"
                f" {self._parts}, each with a task of its own"
            )


def check_number_of_values(number: int) -> None:
    """Check the number of values, keys among them, that are written in a file.

    :raises FleetLimitError: if they are too many.
    """
    if number > MAX_VALUES:
        raise FleetLimitError(f"holds more than {MAX_VALUES:,} values; split the file")
