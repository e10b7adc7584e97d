"""azure-iot-hub, unchanged, on this library: messages from the cloud to a device."""

from __future__ import annotations

import pytest
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.iothub_amqp_client import IoTHubAmqpClientSharedAccessKeyAuth

from tests.downstream.service import Service, properties_of


@pytest.fixture
def hub(service: Service, monkeypatch: pytest.MonkeyPatch) -> str:
    """The hub's name, with its port: the package has no setting for that, nor for a CA file; OpenSSL has."""
    monkeypatch.setenv("SSL_CERT_FILE", service.ca)
    return f"localhost:{service.broker.port}"


def test_send_to_a_device(service: Service, hub: str) -> None:
    client = IoTHubAmqpClientSharedAccessKeyAuth(hub, "owner", "c2VjcmV0")
    client.send_message_to_device("device1", "hello", {"contentType": "text/plain", "prop": "value"})
    client.send_message_to_device("device1", "again", {})
    client.disconnect_sync()
    messages = service.broker.queue("messages/devicebound").messages
    assert [message.body for message in messages] == [b"hello", b"again"]
    properties = properties_of(messages[0].payload)
    assert properties.to == "/devices/device1/messages/devicebound"
    assert properties.content_type == "text/plain"


def test_send_by_the_registry_manager(service: Service, hub: str) -> None:
    connection_string = f"HostName={hub};SharedAccessKeyName=owner;SharedAccessKey=c2VjcmV0"
    manager = IoTHubRegistryManager.from_connection_string(connection_string)
    manager.send_c2d_message("device1", "hello")
    del manager
    assert service.broker.queue("messages/devicebound").depth == 1
    assert service.broker.tokens.put[0].type == "servicebus.windows.net:sastoken"
