"""Waypost's rooms, and the way a touchpoint takes through them.

    website, app, help desk, file import
      │ HTTP
      ▼
    ingest    authenticate → split → normalise → validate → publish → receipt
      │ topic touchpoints (key: the touchpoint's anchor identity)
      ▼
    journey   decode → resolve identity → store once → fold → facts (one transaction with the position) → relay
      │ topic journeys (key: person_id/month; value: that person's facts in that month)
      ▼
    metrics   facts that came − facts that left → contributions → rollups (one transaction with the position)
              → KPI API, dashboard, Prometheus

Rooms talk through topics only; none imports another. What they share is `schemas` (the contract) and `services.shared`
(the bus, the database, configuration, errors). `services.__main__` alone puts several rooms into one process.
"""
