"""A double of Azure Service Bus, Event Hubs and IoT Hub, as far as these tests go: a model on the embedded broker.

Not a word about these services is proven by it; that their packages' own pure Python transport works with it as well as
this library says that it is no worse a double for one than for the other.
"""

from __future__ import annotations

import contextlib
import datetime
import time
import uuid
from collections.abc import Iterator
from typing import Any

from tests.peer.certs import Certificates
from uamqp import codec
from uamqp.testing import AttachAnswer, AttachRequest, Broker, ServiceRequest, ServiceResponse, error
from uamqp.testing.envelope import with_annotations
from uamqp.testing.nodes import Queue, StoredMessage

LOCK_SECONDS = 60
TICKS_AT_EPOCH = 621355968000000000  # 100 ns since the year 1, as .NET counts
SESSION_FILTER = "com.microsoft:session-filter"
HUB = "hub"
PARTITIONS = ("0", "1")


def milliseconds(seconds_ahead: float = 0) -> codec.Timestamp:
    return codec.Timestamp(int((time.time() + seconds_ahead) * 1000))


class Service:
    """The double. Queues whose name begins with `session` want sessions; `hub` is an event hub."""

    def __init__(self, certificates: Certificates, **settings: Any) -> None:
        self.broker = Broker(
            tls_cert=certificates.server.cert,
            tls_key=certificates.server.key,
            cbs=True,
            unpack_batches=True,
            hostnames=("localhost",),
            **settings,
        )
        self.ca = certificates.ca
        self.requests: list[ServiceRequest] = []
        self.session_states: dict[str, bytes | None] = {}
        self._sequence = 0
        self._locked: dict[uuid.UUID, StoredMessage] = {}
        self.broker.hooks.on_attach = self.attach
        self.broker.hooks.on_store = self.store
        self.broker.hooks.on_tag = lambda name, payload: uuid.uuid4().bytes_le
        self.broker.serve("$management", self.hub)
        self.broker.serve("*/$management", self.entity)

    @property
    def endpoint(self) -> str:
        """The custom endpoint for the packages."""
        return f"sb://localhost:{self.broker.port}"

    connection_string = "Endpoint=sb://localhost/;SharedAccessKeyName=name;SharedAccessKey=c2VjcmV0"

    def queue(self, name: str) -> Queue:
        """The queue behind a name; for the broker's thread."""
        node = self.broker.call(lambda server: server.directory.ensure(name))
        if not isinstance(node, Queue):
            raise TypeError(f"{name} is no queue")
        return node

    # -- links

    def attach(self, request: AttachRequest) -> Any:
        """What a link is for."""
        name = (request.address or "").split("//", 1)[-1].partition("/")[2].strip("/")
        if name.startswith(HUB):
            return self._attach_to_hub(name)
        if name.endswith("/$DeadLetterQueue"):
            return AttachAnswer(node=name.removesuffix("$DeadLetterQueue") + "$dead")
        if not request.sends and name.startswith("session"):
            return self._attach_to_session(name, request.filters)
        return AttachAnswer(node=name)

    @staticmethod
    def _attach_to_hub(name: str) -> AttachAnswer:
        partition = name.rpartition("/Partitions/")[2] if "/Partitions/" in name else PARTITIONS[0]
        return AttachAnswer(node=f"{HUB}/Partitions/{partition}")

    def _attach_to_session(self, name: str, filters: dict[str, Any]) -> Any:
        if SESSION_FILTER not in filters:
            return error("amqp:not-allowed", "this queue wants a session")
        session = filters[SESSION_FILTER]
        if session is None:
            waiting = self._sessions(name)
            if not waiting:
                return error("com.microsoft:timeout", "there is no session with messages")
            session = waiting[0]
        ticks = TICKS_AT_EPOCH + int((time.time() + LOCK_SECONDS) * 10_000_000)
        return AttachAnswer(
            node=f"{name}|{session}",
            filters={SESSION_FILTER: session},
            properties={"com.microsoft:locked-until-utc": codec.Long(ticks)},
        )

    def _sessions(self, name: str) -> list[str]:
        nodes = self.broker.call(lambda server: dict(server.directory.nodes))
        return [
            node_name.partition("|")[2]
            for node_name, node in nodes.items()
            if node_name.startswith(f"{name}|") and isinstance(node, Queue) and node.depth
        ]

    # -- messages

    def store(self, name: str, payload: bytes) -> Any:
        """What the service writes onto a message that comes in."""
        if name.endswith("$dead"):
            return None
        self._sequence += 1
        notes: dict[str, Any] = {
            "x-opt-sequence-number": codec.Long(self._sequence),
            "x-opt-enqueued-time": milliseconds(),
        }
        if name.startswith(HUB):
            notes["x-opt-offset"] = str(self._sequence)
        else:
            notes["x-opt-locked-until"] = milliseconds(LOCK_SECONDS)
        payload = with_annotations(payload, notes)
        session = properties_of(payload).group_id
        if session is not None and not name.startswith(HUB) and "|" not in name:
            self.queue(f"{name}|{session}").put(StoredMessage(payload, 0, None, 0))
            return []
        return payload

    # -- management of an entity

    def entity(self, request: ServiceRequest) -> ServiceResponse:
        """An operation of Service Bus."""
        self.requests.append(request)
        name = request.node.removesuffix("/$management")
        if name.endswith("/$DeadLetterQueue"):
            name = name.removesuffix("$DeadLetterQueue") + "$dead"
        operation = (request.operation or "").removeprefix("com.microsoft:").replace("-", "_")
        handler = getattr(self, f"do_{operation}", None)
        if handler is None:
            return ServiceResponse(501, f"no operation {request.operation}")
        response: ServiceResponse = handler(name, request.body)
        return response

    def _queue_of(self, name: str, body: dict[str, Any]) -> Queue:
        session = body.get("session-id")
        return self.queue(f"{name}|{session}" if session is not None else name)

    def do_peek_message(self, name: str, body: dict[str, Any]) -> ServiceResponse:
        everything = self._queue_of(name, body)._messages.values()  # those that a receiver holds, too
        found = [message for message in everything if sequence_of(message.payload) >= body["from-sequence-number"]][
            : body["message-count"]
        ]
        if not found:
            return ServiceResponse(204, "nothing")
        return ServiceResponse(body={"messages": [{"message": message.payload} for message in found]})

    def do_receive_by_sequence_number(self, name: str, body: dict[str, Any]) -> ServiceResponse:
        wanted = set(body["sequence-numbers"])
        messages = []
        for message in self._queue_of(name, body).waiting():
            if sequence_of(message.payload) in wanted:
                token = uuid.uuid4()
                self._locked[token] = message
                messages.append({"message": message.payload, "lock-token": token})
        if len(messages) != len(wanted):
            failed = {"errorCondition": codec.Symbol("com.microsoft:message-not-found")}
            return ServiceResponse(404, "no such message", properties=failed)
        return ServiceResponse(body={"messages": messages})

    def do_update_disposition(self, name: str, body: dict[str, Any]) -> ServiceResponse:
        for token in body["lock-tokens"]:
            message = self._locked.pop(token, None)
            if message is None:
                failed = {"errorCondition": codec.Symbol("com.microsoft:message-lock-lost")}
                return ServiceResponse(410, "the lock is lost", properties=failed)
            if body["disposition-status"] == "completed":
                self._queue_of(name, body).accept(message)
        return ServiceResponse()

    def do_renew_lock(self, name: str, body: dict[str, Any]) -> ServiceResponse:
        return ServiceResponse(body={"expirations": [milliseconds(2 * LOCK_SECONDS) for _ in body["lock-tokens"]]})

    def do_schedule_message(self, name: str, body: dict[str, Any]) -> ServiceResponse:
        numbers = []
        for item in body["messages"]:
            payload = self.store(name, item["message"])
            self.queue(f"{name}/scheduled").put(StoredMessage(payload, 0, None, 0))
            numbers.append(codec.Long(self._sequence))
        return ServiceResponse(body={"sequence-numbers": numbers})

    def do_cancel_scheduled_message(self, name: str, body: dict[str, Any]) -> ServiceResponse:
        queue = self.queue(f"{name}/scheduled")
        for message in queue.waiting():
            if sequence_of(message.payload) in body["sequence-numbers"]:
                queue.accept(message)
        return ServiceResponse()

    def do_set_session_state(self, name: str, body: dict[str, Any]) -> ServiceResponse:
        self.session_states[body["session-id"]] = body["session-state"]
        return ServiceResponse()

    def do_get_session_state(self, name: str, body: dict[str, Any]) -> ServiceResponse:
        return ServiceResponse(body={"session-state": self.session_states.get(body["session-id"])})

    def do_renew_session_lock(self, name: str, body: dict[str, Any]) -> ServiceResponse:
        return ServiceResponse(body={"expiration": milliseconds(2 * LOCK_SECONDS)})

    def do_get_message_sessions(self, name: str, body: dict[str, Any]) -> ServiceResponse:
        sessions = self._sessions(name)[body.get("skip", 0) :][: body.get("top", 100)]
        if not sessions:
            return ServiceResponse(204, "none")
        return ServiceResponse(body={"skip": len(sessions), "sessions-ids": codec.Array(sessions, "string")})

    # -- management of the hub

    def hub(self, request: ServiceRequest) -> ServiceResponse:
        """The properties of the event hub and its partitions."""
        self.requests.append(request)
        if request.operation != "READ":
            return ServiceResponse(501, "only READ", fields=("status-code", "status-description"))
        if request.type == "com.microsoft:eventhub":
            body = {
                "name": HUB,
                "type": "com.microsoft:eventhub",
                "created_at": milliseconds(),
                "partition_count": len(PARTITIONS),
                "partition_ids": codec.Array(PARTITIONS, "string"),
                "georeplication_factor": 1,
            }
        else:
            partition = request.properties["partition"]
            waiting = self.queue(f"{HUB}/Partitions/{partition}").waiting()
            last = sequence_of(waiting[-1].payload) if waiting else -1
            body = {
                "name": HUB,
                "type": "com.microsoft:partition",
                "partition": partition,
                "begin_sequence_number": codec.Long(0),
                "last_enqueued_sequence_number": codec.Long(last),
                "last_enqueued_offset": str(last),
                "last_enqueued_time_utc": milliseconds(),
                "is_partition_empty": not waiting,
            }
        return ServiceResponse(200, "OK", body, fields=("status-code", "status-description"))


def sections(payload: bytes) -> dict[int, Any]:
    return {code: codec.Decoder(payload, start, end).value() for code, start, end in codec.scan_sections(payload)}


def sequence_of(payload: bytes) -> int:
    return int(sections(payload)[codec.MESSAGE_ANNOTATIONS].get("x-opt-sequence-number", 0))


def properties_of(payload: bytes) -> codec.Properties:
    return codec.Properties.from_fields(sections(payload).get(codec.PROPERTIES, []))


@contextlib.contextmanager
def running(certificates: Certificates, **settings: Any) -> Iterator[Service]:
    service = Service(certificates, **settings)
    with service.broker:
        yield service


def soon() -> datetime.datetime:
    """A time for scheduled messages."""
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
