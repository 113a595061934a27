"""KPI queries: p50 and p99 of every declared KPI and of the stage table, against `SELECT 1` through the same HTTP stack."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from benchmarks.bench import FORMS, Bench, Form
from benchmarks.child import Child, module
from benchmarks.question_server import PATH
from benchmarks.row import Row, quantile
from services.cli.client import Service
from services.metrics.domain.catalogue import KPIS

ROUNDS, WARM_UP = 4, 1
EXPLORATORY_MS = 1000
"""What is worked out at each question may take so long."""
YEAR = {"from": "2025-11-01", "to": "2026-11-01"}
RANGES: Mapping[str, Mapping[str, str]] = {
    "none": {"from": "2025-11-20", "to": "2026-10-15"},
    "month": YEAR,
    "day": {"from": "2026-09-01", "to": "2026-11-01"},
    "hour": {"from": "2026-10-25", "to": "2026-11-01"},
}
AS_OF = "2026-10-31T12:34:56Z"
"""Within the newest day that has touchpoints, so that this day has to be cut, as it is when somebody asks for what is so now."""


Times = dict[str, list[tuple[float, float]]]
"""By question, the milliseconds of it and of the `SELECT 1` after it, each time that it was asked."""


def run(bench: Bench) -> list[Row]:
    """Each question in turn, with `SELECT 1` right after it: a row for each KPI, and for both databases with each size."""
    asked = {(on, size): _asked(bench, on, size) for on in FORMS for size in bench.question_sizes}
    overall = [row for (on, size), times in asked.items() for row in _overall(on, size, times)]
    return [*overall, *(_of_kpi(name, asked) for name in ("stages", *(kpi.id for kpi in KPIS)))]


def questions() -> list[str]:
    """Paths: every KPI by every grain of RANGES and every set of dimensions, and the stage table."""
    asked = []
    for kpi in KPIS:
        for grain in RANGES.keys() & set(kpi.grains):
            for by in dict.fromkeys([kpi.per, *kpi.dimension_sets]):
                asked.append((f"/v1/kpis/{kpi.id}", {**RANGES[grain], "grain": grain, "by": ",".join(by)}))
    for unit, by_text, span in (("journey", "", YEAR), ("journey", "channel", YEAR), ("person", "", RANGES["none"])):
        asked.append(("/v1/stages", {**span, "unit": unit, "by": by_text}))
    return sorted(f"{path}?{urlencode({**query, 'as_of': AS_OF})}" for path, query in asked)


def _asked(bench: Bench, on: Form, size: int) -> Times:
    child = bench.start(_server(bench, on, size))
    asked = _ask(child)
    child.stop()
    return asked


def _overall(on: Form, size: int, asked: Times) -> list[Row]:
    ours = [pair[0] for pairs in asked.values() for pair in pairs]
    bare = [pair[1] for pairs in asked.values() for pair in pairs]
    ratios = {path: median(own for own, _ in pairs) / median(bare) for path, pairs in asked.items()}
    slowest = max(ratios, key=lambda path: ratios[path])
    what = f"a KPI query on {on}, {size:,} touchpoints"
    figures = {
        "p50_ms": median(ours),
        "select_1_p50_ms": median(bare),
        "select_1_p99_ms": quantile(bare, 0.99),
        "queries": len(ours),
    }
    question = slowest.removesuffix(f"&{urlencode({'as_of': AS_OF})}")
    slow: dict[str, float | str] = {
        "half_of_them_below": median(ratios.values()),
        "over_20": sum(one > 20 for one in ratios.values()),
        "of": len(ratios),
        "slowest_p50_ms": median(own for own, _ in asked[slowest]),
        "it_is": question,
    }
    return [
        Row(f"{what}: p99", quantile(ours, 0.99), "ms", 10, figures),
        Row(f"{what}: p99 of the questions / SELECT 1", quantile(list(ratios.values()), 0.99), "×", 20, slow),
    ]


def _of_kpi(name: str, asked: Mapping[tuple[Form, int], Times]) -> Row:
    """The worst p99 of a KPI's questions; on each database with each size p50 and p99, and p50 against that of `SELECT 1`."""
    figures, worst = dict[str, float | str](), 0.0
    for (on, size), times in asked.items():
        ours = [own for path, pairs in times.items() if _name_of(path) == name for own, _ in pairs]
        bare = median(other for pairs in times.values() for _, other in pairs)
        worst = max(worst, quantile(ours, 0.99))
        figures[f"{on}_{size:,}"] = f"{median(ours):.2g} / {quantile(ours, 0.99):.2g} ({median(ours) / bare:.2g} ×)"
    is_exploratory = any(kpi.id == name and kpi.exploratory for kpi in KPIS)
    said, goal = (" (exploratory)", EXPLORATORY_MS) if is_exploratory else ("", 10)
    return Row(f"{name}{said}: worst p99; p50 / p99 (p50 / SELECT 1)", worst, "ms", goal, figures)


def _name_of(path: str) -> str:
    return path.partition("?")[0].rpartition("/")[2]


def _server(bench: Bench, on: Form, touchpoints: int) -> Child:
    settings, where = bench.settings(), bench.filled(on, touchpoints).where
    settings |= {"WAYPOST_DATA": str(where)} if isinstance(where, Path) else {"WAYPOST_DATABASE": where}
    return module("question_server", settings, bench.folder)


def _ask(child: Child) -> Times:
    service, asked = Service(child.url), dict[str, list[tuple[float, float]]]()
    for turn in range(ROUNDS + WARM_UP):
        for path in questions():
            pair = _timed_ms(service, path), _timed_ms(service, PATH)
            if turn >= WARM_UP:
                asked.setdefault(path, []).append(pair)
    service.close()
    return asked


def _timed_ms(service: Service, path: str) -> float:
    start = time.perf_counter()
    service.get(path)
    return 1e3 * (time.perf_counter() - start)
