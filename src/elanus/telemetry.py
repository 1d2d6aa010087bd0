"""Figures about a running server, in Prometheus' text format.

Owns the names of the metrics. What to measure is passed in; reading gauges happens when
someone asks, so an idle server does no work for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LATENCIES_S = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30)


@dataclass(frozen=True, slots=True)
class Gauge:
    """One reading.

    Attributes:
        name: without the prefix ``elanus_``.
        help: one line.
    """

    name: str
    help: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


ReadGauges = Callable[[], Iterable[Gauge]]


class Telemetry:
    """Counts calls and reads gauges. Safe to share among threads."""

    def __init__(self, read_gauges: ReadGauges) -> None:
        """Args: read_gauges: called at each scrape."""
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
        self._registry.register(_Gauges(read_gauges))

    def count(self, operation: str, code: int, seconds: float) -> None:
        """Note a call that has ended."""
        self._calls.labels(operation, str(code)).inc()
        self._seconds.labels(operation).observe(seconds)

    def text(self) -> bytes:
        """Every metric in Prometheus' text format."""
        return generate_latest(self._registry)


class _Gauges(Collector):
    """Groups readings of one name into a family, as the format wants it."""

    def __init__(self, read: ReadGauges) -> None:
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        families: dict[str, GaugeMetricFamily] = {}
        for gauge in self._read():
            family = families.get(gauge.name)
            if family is None:
                family = families[gauge.name] = GaugeMetricFamily(
                    f"elanus_{gauge.name}", gauge.help, labels=list(gauge.labels)
                )
            family.add_metric(list(gauge.labels.values()), gauge.value)
        yield from families.values()
