"""How ingest's tables came to be what they are: one module per change, in order. The state they lead to is in `store/tables.py`."""

from __future__ import annotations

from pathlib import Path

from services.shared.migrating import History

HISTORY = History("ingest", Path(__file__).parent, first_table="source")
