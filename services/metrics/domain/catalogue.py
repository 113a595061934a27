"""The KPIs there are."""

from __future__ import annotations

from services.metrics.domain.attribution_kpis import ATTRIBUTION_KPIS
from services.metrics.domain.contact_kpis import CONTACT_KPIS
from services.metrics.domain.growth_kpis import GROWTH_KPIS
from services.metrics.domain.kpis import Kpi
from services.metrics.domain.loyalty_kpis import LOYALTY_KPIS
from services.metrics.domain.order_kpis import ORDER_KPIS
from services.metrics.domain.purchase_kpis import PURCHASE_KPIS
from services.metrics.domain.sequel_kpis import SEQUEL_KPIS
from services.metrics.domain.service_kpis import SERVICE_KPIS
from services.metrics.domain.stay_kpis import STAY_KPIS
from services.metrics.domain.survey_kpis import SURVEY_KPIS
from services.metrics.domain.volume_kpis import VOLUME_KPIS

KPIS: tuple[Kpi, ...] = (
    *VOLUME_KPIS,
    *ORDER_KPIS,
    *LOYALTY_KPIS,
    *PURCHASE_KPIS,
    *STAY_KPIS,
    *SURVEY_KPIS,
    *SERVICE_KPIS,
    *CONTACT_KPIS,
    *SEQUEL_KPIS,
    *ATTRIBUTION_KPIS,
    *GROWTH_KPIS,
)

KPI_BY_ID = {kpi.id: kpi for kpi in KPIS}
