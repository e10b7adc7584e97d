"""Names and numbers of the 1.6 API, and what the specification of this library says where it differs."""

from __future__ import annotations

import enum
import pickle

import pytest

from uamqp import c_uamqp, constants
from uamqp.constants import (
    CBSAuthStatus,
    CBSOpenState,
    CBSOperationResult,
    ConnectionState,
    ErrorCodes,
    ManagementLinkState,
    ManagementOperationResult,
    MessageBodyType,
    MessageReceiverState,
    MessageSenderState,
    MessageSendResult,
    MessageState,
    MgmtExecuteResult,
    MgmtOpenStatus,
    ReceiverSettleMode,
    Role,
    SenderSettleMode,
    TransportType,
)

SPECIFIED: dict[type, dict[str, int]] = {
    MessageState: {
        "WaitingToBeSent": 0, "WaitingForSendAck": 1, "SendComplete": 2, "SendFailed": 3, "ReceivedUnsettled": 4,
        "ReceivedSettled": 5,
    },
    MessageSendResult: {"Ok": 0, "Error": 1, "Timeout": 2, "Cancelled": 3},
    MessageSenderState: {"Idle": 0, "Opening": 1, "Open": 2, "Closing": 3, "Error": 4},
    MessageReceiverState: {"Idle": 0, "Opening": 1, "Open": 2, "Closing": 3, "Error": 4},
    TransportType: {"Amqp": 0, "AmqpOverWebsocket": 1},
    MessageBodyType: {"Data": 0, "Value": 1, "Sequence": 2},
    SenderSettleMode: {"Unsettled": 0, "Settled": 1, "Mixed": 2},
    ReceiverSettleMode: {"PeekLock": 0, "ReceiveAndDelete": 1},
    Role: {"Sender": 0, "Receiver": 1},
    CBSOperationResult: {"Ok": 0, "Error": 1, "OperationFailed": 2, "Timeout": 3},
    CBSOpenState: {"Closed": 0, "Opening": 1, "Open": 2, "Error": 3},
    CBSAuthStatus: {"Idle": 0, "InProgress": 1, "Complete": 2, "Expired": 3, "Error": 4, "RefreshRequired": 5},
    MgmtExecuteResult: {"Ok": 0, "Error": 1, "Timeout": 2},
    MgmtOpenStatus: {"Closed": 0, "Opening": 1, "Open": 2, "Error": 3},
}  # fmt: skip
# Names that 1.6 had and the specification has not: an alias where it means the same, else the next free number.
OF_1_6: dict[type, dict[str, int]] = {
    CBSOperationResult: {"Failed": 2, "Closed": 4},
    CBSOpenState: {"Ok": 2, "Cancelled": 4},
    CBSAuthStatus: {"Ok": 2, "Timeout": 6, "Failure": 7},
    MgmtExecuteResult: {"Failed": 3, "Closed": 4},
    MgmtOpenStatus: {"Ok": 2, "Cancelled": 4},
    ManagementLinkState: {"Ok": 1, "Error": 2, "Cancelled": 3},
    ManagementOperationResult: {"Ok": 1, "Error": 2, "BadStatus": 3, "Closed": 4},
}


@pytest.mark.parametrize("table", [SPECIFIED, OF_1_6], ids=["specified", "1.6"])
def test_numbers(table: dict[type, dict[str, int]]) -> None:
    for kind, numbers in table.items():
        for name, number in numbers.items():
            assert getattr(kind, name) == number
            assert getattr(kind, name).value == number


def test_every_enumeration_is_covered() -> None:
    kinds = {
        kind
        for kind in vars(constants).values()
        if isinstance(kind, type) and issubclass(kind, enum.IntEnum) and list(kind)
    }
    assert kinds == {*SPECIFIED, *OF_1_6, ConnectionState}
    for kind in kinds - {ConnectionState}:
        known = {*SPECIFIED.get(kind, ()), *OF_1_6.get(kind, ())}
        assert known == set(kind.__members__)


def test_members_are_true_and_print_their_names() -> None:
    for kind in [*SPECIFIED, ConnectionState]:
        for member in kind:  # type: ignore[attr-defined]
            assert member
            assert str(member) == f"{member:}" == f"{kind.__name__}.{member.name}"
            assert pickle.loads(pickle.dumps(member)) is member


def test_members_compare_with_numbers() -> None:
    state: object = MessageState.SendComplete
    assert state == 2
    assert MessageState(2) is state
    assert Role(True) is Role.Receiver


def test_aliases() -> None:
    aliases: list[tuple[object, object]] = [
        (CBSAuthStatus.Ok, CBSAuthStatus.Complete),
        (CBSOpenState.Ok, CBSOpenState.Open),
        (MgmtOpenStatus.Ok, MgmtOpenStatus.Open),
        (CBSOperationResult.Failed, CBSOperationResult.OperationFailed),
    ]
    for alias, member in aliases:
        assert alias is member


def test_groups_of_states() -> None:
    assert (MessageState.SendComplete, MessageState.SendFailed) == constants.DONE_STATES
    assert (MessageState.ReceivedSettled, MessageState.ReceivedUnsettled) == constants.RECEIVE_STATES
    assert (MessageState.WaitingForSendAck, MessageState.WaitingToBeSent) == constants.PENDING_STATES
    assert {
        c_uamqp.MessageBodyType.DataType.value: MessageBodyType.Data,
        c_uamqp.MessageBodyType.SequenceType.value: MessageBodyType.Sequence,
        c_uamqp.MessageBodyType.ValueType.value: MessageBodyType.Value,
    } == constants.BODY_TYPE_C_PYTHON_MAP


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEFAULT_AMQP_PORT", 5672),
        ("DEFAULT_AMQPS_PORT", 5671),
        ("DEFAULT_AMQP_WSS_PORT", 443),
        ("AUTH_EXPIRATION_SECS", 3600),
        ("AUTH_REFRESH_SECS", 600),
        ("MAX_FRAME_SIZE_BYTES", 65536),
        ("MAX_MESSAGE_LENGTH_BYTES", 1048576),
        ("BATCH_MESSAGE_FORMAT", 0x80013700),
        ("STRING_FILTER", b"apache.org:selector-filter:string"),
        ("OPERATION", b"operation"),
        ("READ_OPERATION", b"READ"),
        ("MGMT_TARGET", b"$management"),
        ("MESSAGE_SEND_RETRIES", 3),
        ("ERROR_CONNECTION_REDIRECT", b"amqp:connection:redirect"),
        ("ERROR_LINK_REDIRECT", b"amqp:link:redirect"),
    ],
)
def test_plain_constants(name: str, value: object) -> None:
    assert getattr(constants, name) == value


def test_settle_modes_on_the_wire_do_not_come_from_the_numbers() -> None:
    # PeekLock is rcv-settle-mode second and was 1 in 1.6; here its number is 0.
    assert constants.RECEIVER_SETTLE_MODE_WIRE[ReceiverSettleMode.PeekLock] == 1
    assert constants.RECEIVER_SETTLE_MODE_WIRE[ReceiverSettleMode.ReceiveAndDelete] == 0
    assert {
        SenderSettleMode.Unsettled: 0,
        SenderSettleMode.Settled: 1,
        SenderSettleMode.Mixed: 2,
    } == constants.SENDER_SETTLE_MODE_WIRE


class TestErrorCodes:
    def test_are_strings(self) -> None:
        code: object = ErrorCodes.NotFound
        assert code == "amqp:not-found"
        assert ErrorCodes.NotFound.value == "amqp:not-found"
        assert ErrorCodes.InternalServerError.value == "amqp:internal-error"
        assert str(ErrorCodes.NotFound) == f"{ErrorCodes.NotFound}" == "ErrorCodes.NotFound"

    def test_are_found_from_text_and_bytes(self) -> None:
        for code in ErrorCodes:
            assert ErrorCodes(code.value) is code
            assert ErrorCodes(code.value.encode()) is code

    @pytest.mark.parametrize("condition", ["com.example:busy", b"com.example:busy", b"\xff", None, 5])
    def test_do_not_know_others(self, condition: object) -> None:
        with pytest.raises(ValueError, match="is not a valid ErrorCodes"):
            ErrorCodes(condition)

    def test_has_28(self) -> None:
        assert len(ErrorCodes) == 28
        assert ErrorCodes.ConnectionCloseForced.value == "amqp:connection:forced"
        assert ErrorCodes.LinkMessageSizeExceeded.value == "amqp:link:message-size-exceeded"
        assert ErrorCodes.SessionUnattachedHandle.value == "amqp:session:unattached-handle"


def test_connection_states() -> None:
    assert c_uamqp.ConnectionState is ConnectionState
    assert [state.value for state in ConnectionState] == [*range(15), 999]
    assert ConnectionState.CLOSE_RCVD.value == 10
    assert ConnectionState.DISCARDING.value == 12


class Lookalike(enum.Enum):
    """As the Azure packages have one, with 1.6's numbers."""

    Amqp = 1
    AmqpOverWebsocket = 2


class TestMemberOf:
    @pytest.mark.parametrize(
        "value",
        [TransportType.AmqpOverWebsocket, Lookalike.AmqpOverWebsocket, "AmqpOverWebsocket", 1],
    )
    def test_finds_a_member(self, value: object) -> None:
        found = constants.member_of(TransportType, value, "transport_type")
        assert found is TransportType.AmqpOverWebsocket

    def test_goes_by_name_not_by_number(self) -> None:
        assert constants.member_of(TransportType, Lookalike.Amqp, "transport_type") is TransportType.Amqp

    @pytest.mark.parametrize("value", [None, 7, "Tcp", MessageState.SendComplete, object(), True])
    def test_says_what_there_is(self, value: object) -> None:
        with pytest.raises(ValueError, match=r"transport_type must be one of TransportType.Amqp, "):
            constants.member_of(TransportType, value, "transport_type")
