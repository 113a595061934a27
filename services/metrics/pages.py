"""A page for every KPI, made of its declaration and its worked example.

`python -m services.metrics.pages FOLDER` writes them all; the service gives them at `/v1/kpis/{id}/page`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from msgspec import json

from services.metrics.domain.catalogue import KPIS
from services.metrics.domain.kpis import Kpi, KpiUnit
from services.metrics.examples import AS_OF, FROM, TO, by_kpi

UNITS: dict[KpiUnit, str] = {
    "count": "a count",
    "percent": "percent",
    "points": "points, which may be below 0",
    "currency": "units of the row's `currency`",
    "seconds": "seconds",
    "days": "days",
    "ratio": "a ratio",
    "score": "a score on the row's `scale`",
}


def page(kpi: Kpi) -> str:
    """Markdown."""
    return "\n".join([*_declared(kpi), *_sums(kpi), *_worked(kpi)]) + "\n"


def index(kpis: Iterable[Kpi] = KPIS) -> str:
    """The list of all pages, as Markdown."""
    rows = (f"| [{kpi.title}]({kpi.id}.md) | `{kpi.id}` | {UNITS[kpi.unit]} |" for kpi in kpis)
    head = "Made of the declarations by `python -m services.metrics.pages docs/kpis`; the service gives each page at `/v1/kpis/ID/page`."
    return "\n".join(["# KPIs", "", head, "", "| KPI | id | unit |", "| --- | --- | --- |", *rows]) + "\n"


def pages() -> dict[str, str]:
    """{file name: text} of the folder."""
    return {"README.md": index(), **{f"{kpi.id}.md": page(kpi) for kpi in KPIS}}


def _declared(kpi: Kpi) -> list[str]:
    sets = "; ".join(" + ".join(f"`{name}`" for name in names) for names in kpi.dimension_sets)
    apart = [f"| never added across | {_names(kpi.per)} |"] if kpi.per else []
    return [
        f"# {kpi.title}",
        "",
        kpi.definition,
        "",
        "| | |",
        "| --- | --- |",
        f"| id | `{kpi.id}` |",
        f"| unit | {UNITS[kpi.unit]} |",
        f"| formula | `{kpi.formula.text()}` |",
        f"| source | {kpi.source} |",
        f"| grains | {', '.join(kpi.grains)} |",
        f"| dimensions, together | {sets} |",
        *apart,
        *(["| exploratory | worked out at each question: it may take over 10 ms |"] if kpi.exploratory else []),
        "",
    ]


def _sums(kpi: Kpi) -> list[str]:
    evidence = f"`GET /v1/kpis/{kpi.id}/evidence` lists what its numbers are made of."
    known = [side for side in ("numerator", "denominator") if kpi.formula.terms(side, kpi.grains[-1]) is not None]
    return [evidence, ""] if known else []


def _worked(kpi: Kpi) -> list[str]:
    if kpi.id not in by_kpi():
        return []
    story, example = by_kpi()[kpi.id]
    query = urlencode({"from": FROM, "to": TO, **example.query, "as_of": AS_OF}, safe=":,")
    settings = (
        [f"With `{name}={value}`:", ""]
        if (name := next(iter(example.settings), "")) and (value := example.settings[name])
        else []
    )
    return [
        "## Example",
        "",
        *_block(story.touchpoints),
        *settings,
        f"`GET /v1/kpis/{kpi.id}?{query}` answers, among other fields:",
        "",
        *_block(example.rows),
        example.says,
    ]


def _block(rows: Sequence[dict[str, Any]]) -> list[str]:
    return ["```json", *(json.encode(row).decode().replace('":', '": ').replace(',"', ', "') for row in rows), "```", ""]


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def main(folder: Path) -> None:
    """Write all pages, and remove those of KPIs that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    made = pages()
    for file in folder.glob("*.md"):
        if file.name not in made:
            file.unlink()
    for name, text in made.items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
