"""The declared metrics, and their values for one import run."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from openstates import metadata

from realtime.models import APPLIED, Outcome
from realtime.monitoring.report import Report, Share, percentile

# The tag for ids that core does not know, so that messages cannot create arbitrary tag values.
UNKNOWN = "unknown"
RESUMED = "resumed"


@dataclass(frozen=True)
class Metric:
    """A declared metric: InfluxDB's measurement, its fields and its tags."""

    name: str
    fields: tuple[str, ...]
    tags: tuple[str, ...]
    help: str


OBJECTS = Metric(
    "objects",
    ("realtime_import",),
    ("jurisdiction",),
    "objects that a run imported, changed or not",
)
LAG = Metric(
    "realtime_lag",
    ("p50", "p95"),
    ("jurisdiction",),
    "seconds from scraped to visible, of the objects that a run inserted or updated",
)
FILES = Metric(
    "realtime_files",
    (*(outcome.value for outcome in Outcome), RESUMED),
    ("jurisdiction", "object_type"),
    "files by outcome",
)
QUEUE = Metric(
    "realtime_queue",
    ("oldest_received",),
    (),
    "age in seconds, since it was sent, of the oldest message that a run received",
)
FLAGS = Metric("realtime_flags", ("raised",), ("kind",), "flags that a run raised, by kind")
PAUSED = Metric(
    "realtime_paused",
    ("parked",),
    ("jurisdiction",),
    "files that a run parked because their jurisdiction is paused",
)
RECEIVERS = Metric(
    "realtime_receivers",
    ("delivered", "behind", "behind_seconds"),
    ("receiver",),
    "changes that a receiver was told of, and those that it was not",
)
METRICS = (OBJECTS, LAG, FILES, QUEUE, FLAGS, PAUSED, RECEIVERS)


@dataclass(frozen=True)
class Point:
    """Values of one metric for one set of tags. Raises ValueError for undeclared fields or tags."""

    metric: Metric
    values: Mapping[str, int | float]
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        undeclared = set(self.values) - set(self.metric.fields)
        if undeclared or set(self.tags) != set(self.metric.tags):
            raise ValueError(f"{self.metric.name} is not declared so: {self}")


@dataclass(frozen=True)
class Told:
    """What a delivery did: a receiver, the changes that it was told of, those that it was not, and
    the age of the oldest of these, in seconds."""

    receiver: str
    delivered: int
    behind: int
    behind_seconds: float

    @property
    def values(self) -> dict[str, int | float]:
        """The values of RECEIVERS."""
        return {
            "delivered": self.delivered,
            "behind": self.behind,
            "behind_seconds": round(float(self.behind_seconds), 3),
        }


def points_of_receivers(told: Iterable[Told]) -> list[Point]:
    """The metrics of a delivery."""
    return [Point(RECEIVERS, one.values, {"receiver": one.receiver}) for one in told]


def points(report: Report) -> list[Point]:
    """The metrics of a run."""
    found = [one for name, share in shares(report).items() for one in _points_of(name, share)]
    if report.oldest_received is not None:
        oldest = round(float(report.oldest_received), 3)
        found.append(Point(QUEUE, {"oldest_received": oldest}, {}))
    found += [Point(FLAGS, {"raised": n}, {"kind": kind}) for kind, n in report.flags.items()]
    parked: Counter[str] = Counter()
    for jurisdiction_id, files in report.paused.items():
        parked[name_of(jurisdiction_id)] += files
    found += [Point(PAUSED, {"parked": n}, {"jurisdiction": one}) for one, n in parked.items()]
    return found


def shares(report: Report) -> dict[str, Share]:
    """A run's shares by jurisdiction name, as core's own metrics name it; unknown ids add up."""
    named: dict[str, Share] = {}
    for jurisdiction_id, share in sorted(report.shares.items()):
        into = named.setdefault(name_of(jurisdiction_id), Share())
        into.lags.extend(share.lags)
        for object_type, counts in share.types.items():
            into.types[object_type] += counts
    return named


def name_of(jurisdiction_id: str) -> str:
    """The jurisdiction's name in core's metadata, UNKNOWN for any other id."""
    try:
        return str(metadata.lookup(jurisdiction_id=jurisdiction_id).name)
    except (KeyError, ValueError):
        return UNKNOWN


def imported(share: Share) -> int:
    """How many files this run imported: inserted, updated, unchanged or resumed."""
    total = sum(share.types.values(), Counter[str]())
    return sum(total[name] for name in (*APPLIED, RESUMED))


def _points_of(name: str, share: Share) -> Iterator[Point]:
    tags = {"jurisdiction": name}
    if count := imported(share):
        yield Point(OBJECTS, {"realtime_import": count}, tags)
    p50, p95 = percentile(share.lags, 50), percentile(share.lags, 95)
    if p50 is not None and p95 is not None:
        # InfluxDB fixes a field's type at its first write: always write floats.
        yield Point(LAG, {"p50": float(p50), "p95": float(p95)}, tags)
    for object_type, counts in sorted(share.types.items()):
        values = {str(outcome): count for outcome, count in counts.items() if count}
        yield Point(FILES, values, {**tags, "object_type": object_type})
