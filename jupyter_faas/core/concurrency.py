"""How much was in flight and queued over time: what scaling decides on.

Fed by the activator on every change, so `record` is on the hot path. Pure: time is an argument.
"""

from __future__ import annotations

from array import array

_BUCKETS = 60
_EPSILON = 1e-6


class ConcurrencyWindow:
    """Time-weighted concurrency (in flight + queued) of one revision, and its recent peak.

    `record` costs O(1) and no allocation between bucket edges. Means are exact for spans of whole
    buckets and within the newest one; the oldest bucket is taken in part, as if even. Time is
    monotonic seconds and must not go back.

    Args:
        now_s: Start of the record.
        bucket_s: Width of a bucket; 60 of them are kept.
    """

    __slots__ = (
        "_area",
        "_bucket_s",
        "_edge_s",
        "_edges",
        "_index",
        "_level",
        "_peak",
        "_peaks",
        "_since_s",
        "_start_s",
        "last_active_s",
    )

    _area: float
    _bucket_s: float
    _edge_s: float
    _edges: array[float] | None
    _index: int
    _level: int
    _peak: int
    _peaks: list[tuple[float, int]]
    _since_s: float
    _start_s: float
    last_active_s: float

    def __init__(self, now_s: float = 0.0, bucket_s: float = 1.0) -> None:
        self._level = 0
        self.last_active_s = float("-inf")
        """When something was last in flight or queued, as of the last record."""
        self._begin(now_s, bucket_s)

    def record(self, now_s: float, level: int) -> None:
        """Note that from `now_s` on `level` invocations are in flight or queued."""
        if now_s >= self._edge_s:
            self._roll(now_s)
        old = self._level
        if old:
            self._area += (now_s - self._since_s) * old
            self.last_active_s = now_s
        elif level:
            self.last_active_s = now_s
        self._since_s = now_s
        self._level = level
        if level > self._peak:  # noqa: PLR1730 — max() costs three times as much, twice per call
            self._peak = level

    def mean(self, now_s: float, window_s: float) -> float:
        """Return the mean concurrency over the `window_s` seconds before `now_s`.

        Time before the record began counts as nothing in flight: one sudden burst raises the
        mean only as it lasts.
        """
        if now_s >= self._edge_s:
            self._roll(now_s)
        area = self._area + (now_s - self._since_s) * self._level
        return max(0.0, (area - self._area_at(now_s - window_s, now_s, area)) / window_s)

    def peak(self, now_s: float, window_s: float) -> int:
        """Return the highest concurrency in the `window_s` seconds before `now_s`."""
        if now_s >= self._edge_s:
            self._roll(now_s)
        peaks = self._peaks
        while peaks and peaks[0][0] <= now_s - window_s:
            del peaks[0]
        return max(self._peak, peaks[0][1]) if peaks else self._peak

    def idle_s(self, now_s: float) -> float:
        """Return for how long nothing has been in flight or queued; 0 while something is."""
        return 0.0 if self._level else now_s - self.last_active_s

    def fit(self, now_s: float, stable_s: float) -> None:
        """Make the buckets fit a stable window; a change of width drops the means so far."""
        bucket_s = stable_s / _BUCKETS
        if abs(bucket_s - self._bucket_s) > _EPSILON:
            self._begin(now_s, bucket_s)

    def _begin(self, now_s: float, bucket_s: float) -> None:
        self._bucket_s = bucket_s
        self._area = 0.0
        self._since_s = now_s
        self._start_s = now_s
        self._index = 0
        self._edge_s = now_s + bucket_s
        self._edges = None
        self._peak = self._level
        self._peaks = []

    def _roll(self, now_s: float) -> None:
        """Close every bucket that ended by `now_s`; at most a ring's worth is written."""
        edges = self._edges
        if edges is None:
            edges = self._edges = array("d", bytes(8 * (_BUCKETS + 1)))
        passed = int((now_s - self._edge_s) / self._bucket_s) + 1
        first = self._index + 1 + max(0, passed - (_BUCKETS + 1))
        for index in range(first, self._index + passed + 1):
            edge_s = self._start_s + index * self._bucket_s
            edges[index % (_BUCKETS + 1)] = self._area + (edge_s - self._since_s) * self._level
        self._close_peak(self._start_s + (self._index + 1) * self._bucket_s)
        self._index += passed
        self._edge_s = self._start_s + (self._index + 1) * self._bucket_s
        if self._level and passed > 1:
            self._close_peak(self._start_s + self._index * self._bucket_s)

    def _close_peak(self, edge_s: float) -> None:
        """Remember the peak of a closed bucket; lower and older ones can never matter again."""
        peaks = self._peaks
        if self._peak:
            while peaks and peaks[-1][1] <= self._peak:
                peaks.pop()
            peaks.append((edge_s, self._peak))
        self._peak = self._level

    def _area_at(self, then_s: float, now_s: float, area: float) -> float:
        """Return the area under the curve up to `then_s`, between two known points."""
        if then_s <= self._start_s:
            return 0.0
        position = (then_s - self._start_s) / self._bucket_s
        index = max(int(position), self._index - _BUCKETS)
        low_s = self._start_s + index * self._bucket_s
        low = self._edge_area(index)
        if index >= self._index:
            high_s, high = now_s, area
        else:
            high_s, high = low_s + self._bucket_s, self._edge_area(index + 1)
        share = max(0.0, (then_s - low_s) / (high_s - low_s))
        return low + (high - low) * share

    def _edge_area(self, index: int) -> float:
        return self._edges[index % (_BUCKETS + 1)] if self._edges is not None and index else 0.0
