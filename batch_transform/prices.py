"""
What an instance costs: from AWS's Price List, else from the table below, which bears its date.

Knows prices by the hour of an instance; knows no jobs.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from batch_transform.aws import PRICE_LIST_REGION, AwsError

TABLE_DATE = "2026-11-20"
TABLE = {
    "ml.g4dn.xlarge": 0.736,
    "ml.g5.xlarge": 1.408,
    "ml.g5.2xlarge": 1.515,
    "ml.g6.xlarge": 1.127,
    "ml.g6.2xlarge": 1.222,
}
"""Dollars an hour on demand in us-east-1, third-party figures gathered on that date."""

_NOT_UNDERSTOOD = (AttributeError, KeyError, TypeError, ValueError)
"""What reading a price list of another form than the documented one ends in."""


@dataclass(frozen=True)
class HourlyPrice:
    """Dollars an hour of one instance, or None where nobody knows; *basis* says who told."""

    dollars: float | None
    basis: str

    def cost(self, instance_seconds: float | None) -> float | None:
        """Return the dollars for so many seconds, those of all instances added up."""
        if self.dollars is None or instance_seconds is None:
            return None
        return round(self.dollars * instance_seconds / 3600, 4)


def written_out(dollars: float | None) -> str:
    """Return a cost as people write it; less than a cent is not nothing."""
    if dollars is None:
        return "unknown"
    return "under $0.01" if 0 < dollars < 0.01 else f"${dollars:,.2f}"


def hourly_price(pricing: Any, instance_type: str, region: str | None) -> HourlyPrice:
    """Return the price of a transform instance in *region*; no answer of AWS is no failure."""
    try:
        listed = next(_listed_prices(pricing, instance_type, region or PRICE_LIST_REGION), None)
    except (*AwsError, *_NOT_UNDERSTOOD):  # a price is no reason to stop a job
        listed = None
    if listed is not None:
        return HourlyPrice(listed, "from AWS's Price List")
    if instance_type in TABLE:
        return HourlyPrice(TABLE[instance_type], f"from a table of {TABLE_DATE}, us-east-1")
    return HourlyPrice(None, "unknown")


def _listed_prices(pricing: Any, instance_type: str, region: str) -> Iterator[float]:
    wanted = {"instanceName": instance_type, "regionCode": region}
    answer = pricing.get_products(
        ServiceCode="AmazonSageMaker",
        Filters=[
            {"Type": "TERM_MATCH", "Field": field, "Value": value}
            for field, value in wanted.items()
        ],
    )
    for product in map(json.loads, answer["PriceList"]):
        usage = product["product"]["attributes"].get("usagetype", "")
        if "Tsform:" in usage:  # USE1-Tsform:ml.g5.xlarge; hosting and training are priced apart
            yield from _hourly(product["terms"].get("OnDemand", {}))


def _hourly(terms: dict[str, Any]) -> Iterator[float]:
    for term in terms.values():
        for dimension in term["priceDimensions"].values():
            dollars = float(dimension["pricePerUnit"].get("USD", 0))
            if dollars:
                yield dollars
