"""What people pass to the decorator beside plain values: `Retries`, `Cron`, `Period`. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from jupyter_faas.core import model
from jupyter_faas.core.errors import InvalidSpec

MAX_RETRIES = 10


@dataclass(frozen=True)
class Retries:
    """How often a call whose code raised is run again, and after how long.

    Args:
        max_retries: 0 to 10 runs after the first.
        initial_delay: Seconds before the first retry, 0 to 60.
        backoff_coefficient: Each further delay is this many times longer, 1 to 10.
        max_delay: Longest delay in seconds, 1 to 3600.

    Raises:
        InvalidSpec: A value is outside its range.
    """

    max_retries: int
    initial_delay: float = 1.0
    backoff_coefficient: float = 2.0
    max_delay: float = 60.0

    def __post_init__(self) -> None:
        _in_range("Retries.max_retries", self.max_retries, 0, MAX_RETRIES, whole=True)
        _in_range("Retries.initial_delay", self.initial_delay, 0, 60)
        _in_range("Retries.backoff_coefficient", self.backoff_coefficient, 1, 10)
        _in_range("Retries.max_delay", self.max_delay, 1, 3600)

    def to_model(self) -> model.Retries:
        """Return the value that travels."""
        return model.Retries(
            max_retries=self.max_retries,
            initial_delay_s=float(self.initial_delay),
            backoff_coefficient=float(self.backoff_coefficient),
            max_delay_s=float(self.max_delay),
        )


@dataclass(frozen=True)
class Cron:
    """A schedule in crontab form, e.g. `Cron("0 6 * * *", tz="Europe/Zurich")`."""

    expression: str
    tz: str = "UTC"


@dataclass(frozen=True)
class Period:
    """A schedule by interval, e.g. `Period(seconds=300)`."""

    seconds: float = 0.0
    minutes: float = 0.0
    hours: float = 0.0


def _in_range(name: str, value: object, low: float, high: float, *, whole: bool = False) -> None:
    kinds = (int,) if whole else (int, float)
    is_number = isinstance(value, kinds) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:  # type: ignore[operator]
        what = "a whole number" if whole else "a number"
        raise InvalidSpec(f"{name}={value!r}: allowed is {what} from {low} to {high}.")
