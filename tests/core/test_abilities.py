"""What brokers can't do."""

from __future__ import annotations

import pytest

from uamqp.codec import Open, Symbol
from uamqp.core.abilities import Abilities, abilities_of


@pytest.mark.parametrize(
    ("product", "version", "expected"),
    [
        ("RabbitMQ", "3.10.8", Abilities(drains=False, browses=False, selects=False)),
        ("RabbitMQ", "4.0.5", Abilities(browses=False, selects=False)),
        ("RabbitMQ", "4.3.6", Abilities(browses=False, selects=False)),
        ("ActiveMQ", "5.17.2", Abilities(redelivers=False)),
        ("apache-activemq-artemis", "2.40.0", Abilities()),
        ("uamqp-testing", "3.1", Abilities()),
    ],
)
def test_the_table(product: str, version: str, expected: Abilities) -> None:
    properties = {Symbol("product"): product, Symbol("version"): version}
    assert abilities_of(Open("peer", properties=properties)) == expected


def test_who_says_nothing_can_do_all() -> None:
    assert (
        abilities_of(None)
        == abilities_of(Open("peer"))
        == Abilities(drains=True, browses=True, selects=True, redelivers=True)
    )
