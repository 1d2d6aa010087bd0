"""Figures about a running server, in Prometheus' text format.

Owns the names of the metrics. What to measure is passed in; readings are taken when
someone asks, so an idle server does no work for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LATENCIES_S = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30)


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure at the moment of a scrape.

    Attributes:
        name: without the prefix ``elanus_``, and without ``_total`` for a counter.
        help: one line.
        labels: the same keys for all readings of a name.
        is_counter: it only grows while the process lives.
    """

    name: str
    help: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    is_counter: bool = False


Readings = Callable[[], Iterable[Reading]]


class Telemetry:
    """Counts calls and takes readings. Safe to share among threads."""

    def __init__(self, readings: Readings) -> None:
        """Args: readings: called at each scrape."""
        self._registry = CollectorRegistry()
        self._calls = Counter(
            "elanus_calls",
            "Calls that have ended, by operation and error code (0: success).",
            ("operation", "code"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "elanus_call_seconds",
            "Time of a call inside the service, by operation.",
            ("operation",),
            buckets=_LATENCIES_S,
            registry=self._registry,
        )
        self._registry.register(_Families(readings))
        # Finding a series by its labels takes longer than counting.
        self._series: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def count(self, operation: str, code: int, seconds: float) -> None:
        """Note a call that has ended."""
        series = self._series.get((operation, code))
        if series is None:
            calls = self._calls.labels(operation, str(code))
            series = (calls, self._seconds.labels(operation))
            self._series[operation, code] = series
        series[0].inc()
        series[1].observe(seconds)

    def text(self) -> bytes:
        """Every metric in Prometheus' text format."""
        return generate_latest(self._registry)


class _Families(Collector):
    """Groups readings of one name into a family, as the format wants it."""

    def __init__(self, read: Readings) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for reading in self._read():
            family = families.get(reading.name)
            if family is None:
                kind = CounterMetricFamily if reading.is_counter else GaugeMetricFamily
                family = families[reading.name] = kind(
                    f"elanus_{reading.name}", reading.help, labels=list(reading.labels)
                )
            family.add_metric(list(reading.labels.values()), reading.value)
        yield from families.values()
