"""What RabbitMQ says about bad addresses, word for word."""

from __future__ import annotations

import pytest

from uamqp.core.complaints import Complaint, complaint_of


@pytest.mark.parametrize(
    ("product", "version", "description", "complaint"),
    [
        ("RabbitMQ", "4.1.0", '{amqp_address_v1_not_permitted,{utf8,<<"q1">>}}', Complaint.BAD_ADDRESS),
        ("RabbitMQ", "4.1.0", '{bad_address,<<"/q/q1">>}', Complaint.BAD_ADDRESS),
        ("RabbitMQ", "4.0.5", "no queue 'q\n1' in vhost '/'", Complaint.NO_QUEUE),
        ("RabbitMQ", "4.0.5", "no exchange 'e1' in vhost '/'", Complaint.NO_EXCHANGE),
        ("RabbitMQ", "4.0.5", "anonymous terminus requires 'to' address to be set", Complaint.NO_TO),
        ("RabbitMQ", "4.0.5", "bad 'to' address string: q1", Complaint.BAD_TO),
        ("RabbitMQ", "3.13.7", '{unknown_destination,<<"q1">>}', Complaint.BAD_ADDRESS),
        ("RabbitMQ", "3.13.7", "NOT_FOUND - no queue 'q1' in vhost '/'", Complaint.NO_QUEUE),
        ("RabbitMQ", "3.13.7", "NOT_FOUND - no exchange 'e1' in vhost '/'", Complaint.NO_EXCHANGE),
        ("RabbitMQ", "3.13.7", "no queue 'q1' in vhost '/'", None),  # version 4's words
        ("", "", "no queue 'q1' in vhost '/'", Complaint.NO_QUEUE),  # who doesn't say what it is may be RabbitMQ
        ("apache-activemq-artemis", "2.31.0", "no queue 'q1' in vhost '/'", None),
        ("RabbitMQ", "4.1.0", "something else", None),
        ("RabbitMQ", "4.1.0", "", None),
        ("RabbitMQ", "4.1.0", None, None),
    ],
)
def test_what_it_complains_of(product: str, version: str, description: str | None, complaint: Complaint | None) -> None:
    assert complaint_of(description, product, version) is complaint
