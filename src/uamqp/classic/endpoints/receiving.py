"""From deliveries to messages, and the messages that a client holds until somebody asks for them. No I/O."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import islice, repeat, starmap
from typing import TYPE_CHECKING, Any

from ... import codec
from ...codec.sections import single_data
from ...core.link import LinkHandler
from ...engine import IncomingDelivery, LocalProtocolError
from ...transport.guard import ConnectionBusy
from ..message.message import Message, received_message
from ..vocabulary import constants, errors
from ..vocabulary.compat import queue

if TYPE_CHECKING:
    from ...engine import Session
    from .receiver import MessageReceiver

_logger = logging.getLogger("uamqp.receiver")  # as in 1.6

_ACCEPTED = codec.ACCEPTED
_ACCEPTANCE = errors.MessageAccepted()
_SETTLED = constants.MessageState.ReceivedSettled


def move_one(queue: deque[Message], to: list[Message]) -> bool:
    """Move the first message of a queue to the end of a list; tell whether there is one.

    No exception of a signal handler comes between the two ends, which are one call in C, and no other thread.
    """
    before = len(to)
    try:
        to.extend(islice(iter(queue.popleft, None), 1))
    except IndexError:
        pass  # there is none, or another call was faster
    return len(to) > before


class Batch(list[Message]):
    """Messages on their way to the caller of `receive_message_batch`.

    Attributes:
        sends: the pump's, before they were accepted.
    """

    sends = 0

    def forget_accepted(self) -> None:
        """The connection was given up before it was written that they are accepted: the peer delivers them again."""
        self[:] = [message for message in self if message._response not in (None, _ACCEPTANCE)]


class MessageQueue:
    """A queue of received messages, with the methods of `queue.Queue` that callers of 1.6 use; it never blocks.

    Any number of threads may use it, without a lock.
    """

    __slots__ = ("_append", "_messages", "_popleft")

    def __init__(self) -> None:
        self._messages: deque[Message] = deque()
        self._append = self._messages.append  # looked up once, for all messages
        self._popleft = self._messages.popleft

    def put(self, message: Message) -> None:
        """Append a message."""
        self._append(message)

    def get(self, block: bool = True, timeout: float | None = None) -> Message:
        """Return the oldest message.

        Raises:
            queue.Empty: there is none, whatever `block` says.
        """
        try:
            return self._popleft()
        except IndexError:
            raise queue.Empty from None

    get_nowait = get
    put_nowait = put

    def put_back(self, *messages: Message) -> None:
        """Put messages that had been taken out before all others, in this order."""
        self._messages.extendleft(reversed(messages))

    def take_all(self) -> list[Message]:
        """Take out all messages."""
        messages: deque[Message] = deque()
        self.move_to(messages)
        return list(messages)

    def empty(self) -> bool:
        """There are no messages."""
        return not self._messages

    def qsize(self) -> int:
        """Return how many there are."""
        return len(self._messages)

    def move_to(self, end: deque[Message]) -> None:
        """Move all messages to the end of another queue."""
        try:
            end.extend(iter(self._popleft, None))  # in C: none is lost to an exception that comes in between
        except IndexError:
            pass  # these are all

    def move_back(self, end: deque[Message]) -> None:
        """Put all messages of another queue before those in this one."""
        try:
            self._messages.extendleft(iter(end.pop, None))
        except IndexError:
            pass

    def move_one(self, to: list[Message]) -> bool:
        """Move the oldest message to the end of a list; tell whether there is one."""
        return move_one(self._messages, to)

    def take_over(self, messages: list[Message]) -> None:
        """Append messages, and empty the list."""
        self._messages.extend(messages)
        messages.clear()

    def drop_unsettled(self) -> None:
        """Drop what the peer delivers again, its link being gone."""
        messages: deque[Message] = deque()  # nobody else takes one of these meanwhile
        try:
            self.move_to(messages)
            for _ in range(len(messages)):
                if messages[0].settled:
                    messages.rotate(-1)
                else:
                    messages.popleft()
        finally:
            self.move_back(messages)

    def task_done(self) -> None:
        """Nothing; callers of 1.6 call it."""

    def hand_out(self, count: int, auto_complete: bool, batch: list[Message]) -> list[Message]:
        """Take up to `count` messages out for the application. Call it with the connection's lock held.

        Args:
            auto_complete: accept those that aren't settled yet. One whose link has gone is left out: the peer delivers
                it again.
            batch: an empty list, which is returned. All that is taken out is in it, should an exception come in
                between.
        """
        try:
            batch.extend(starmap(self._popleft, repeat((), count)))  # in C: no exception comes between the two ends
        except IndexError:
            pass  # these are all
        left_out = []
        link: Any = None
        taken = 0  # of its messages
        for message in batch:
            if auto_complete and message._response is None and not accept(message):
                left_out.append(message)
            delivery: Any = message._delivery
            if delivery is None:
                continue
            if delivery.link is not link:
                if link is not None:
                    link.taken(taken)
                link = delivery.link
                taken = 0
            taken += 1
        if link is not None:
            link.taken(taken)
        for message in left_out:
            batch.remove(message)
        return batch

    def take_back(self, batch: list[Message]) -> None:
        """Put messages back that `hand_out` has given in vain. Call it with the connection's lock held."""
        for message in batch:
            hold(message)
        self.put_back(*batch)


class Inbox:
    """Where the messages of a receiving client arrive; called while the connection works, with its lock held.

    Attributes:
        active: a message has arrived since somebody set this to False.
        arrived: messages for the callback, which runs later, without the lock, so that it may take its time.
        callback: what is to be called with each message; None: nothing.
        streaming: messages go to the callback alone.
        messages: those that wait to be handed out.
    """

    __slots__ = ("active", "arrived", "callback", "messages", "streaming")

    def __init__(self) -> None:
        self.active = False
        self.arrived: deque[Message] = deque()
        self.callback: Callable[[Message], Any] | None = None
        self.streaming = False
        self.messages = MessageQueue()

    def take_in(self, message: Message) -> None:
        """A message arrived."""
        self.active = True
        hold(message)
        if self.callback is not None or self.streaming:
            self.arrived.append(message)
        else:
            self.messages.put(message)


def hold(message: Message) -> None:
    """The client holds the message: the peer gets no credit for another in its place until it is taken."""
    delivery: Any = message._delivery
    if delivery is not None:
        link = delivery.link
        link.buffered += 1


def use_up(message: Message) -> None:
    """The message leaves the client, which is asked for one after the other: the peer may send another in its place."""
    delivery: Any = message._delivery
    if delivery is not None:
        link = delivery.link
        link.taken()
        link.renew()


def complete(message: Message) -> bool:
    """Accept a message that wasn't settled otherwise; False if its link has gone, and the peer delivers it again."""
    try:
        if message._response is None:
            message.accept()
    except RuntimeError as error:
        delivery: Any = message._delivery
        _logger.info("Link %r: %s", delivery.link.name if delivery is not None else None, error)
        return False
    return True


def accept(message: Message) -> bool:
    """Do what `complete` does, for one of many: under the connection's lock, with the writing left to the caller."""
    delivery: Any = message._delivery
    if delivery is None:
        return complete(message)
    if not delivery.settled or delivery.state is not None:
        try:
            unsettled = delivery.link.session.unsettled
            unsettled.settle_incoming(delivery, _ACCEPTED)
        except LocalProtocolError as error:
            _logger.info("Message %d of link %r isn't accepted: %s", delivery.delivery_id, delivery.link.name, error)
            return False
    message._response = _ACCEPTANCE
    message.state = _SETTLED
    return True


class Intake(LinkHandler):
    """Makes messages of a receiver's deliveries, and settles them.

    Args:
        receiver: the link. Called: `_callback_failed` with what the callback raised, `_refuse` with a delivery that is
            no message.
        callback: called with each message.
        encoding: of the text in the messages.

    Attributes:
        callback: see there.
        settled: the messages count as settled: nothing can be said of them.
    """

    __slots__ = ("_encoding", "_receiver", "_settler", "callback", "settled")

    def __init__(self, receiver: MessageReceiver, callback: Callable[[Message], Any], encoding: str) -> None:
        self._receiver = receiver
        self._encoding = encoding
        self._settler = self.settle  # one callable for all messages of the link
        self.callback = callback
        self.settled = False

    def on_delivery(self, delivery: IncomingDelivery, now: float) -> None:
        """A message arrived."""
        try:
            data_start = single_data(delivery.payload)
        except codec.DecodeError as error:
            self._receiver._refuse(delivery, error)
            return
        if self.settled and not delivery.settled:
            # The peer doesn't send settled, though it was asked to.
            if not try_settle(delivery, codec.ACCEPTED):
                return  # the link has gone: the peer delivers it again
        message = received_message(delivery, None if self.settled else self._settler, self._encoding, data_start)
        self.callback(message)
        link: Any = delivery.link
        link.taken()

    def settle(self, response: Any, delivery: IncomingDelivery) -> None:
        """Settle a message; called by it, from any thread.

        Raises:
            RuntimeError: its link is gone.
            ValueError: the response is none of the errors module's.
        """
        if not response or isinstance(response, errors.MessageAlreadySettled):
            return
        if delivery.settled and delivery.state is None:
            return  # the sender has settled it: nothing is left to say
        outcome = response._outcome() if isinstance(response, errors.MessageResponse) else None
        if outcome is None:
            raise ValueError(f"Invalid message response type: {response!r}")
        self._dispose(delivery, outcome)

    def _dispose(self, delivery: IncomingDelivery, outcome: Any) -> None:
        pump = self._receiver._connection._pump
        session = delivery.link.session
        try:
            with pump.lock, pump.guard.settling:
                session.unsettled.settle_incoming(delivery, outcome)
        except LocalProtocolError as error:
            name = type(outcome).__name__.lower()
            raise RuntimeError(
                f"Unable to send message dispostition {name!r} for message number {delivery.delivery_id}: "
                f"{pump.foreign or error}"
            ) from error
        except ConnectionBusy:  # a signal handler or finalizer has called
            if not pump.defer(partial(self._dispose, delivery, outcome)):
                raise
            return
        flush(pump, session)


def flush(pump: Any, session: Session) -> None:
    """Have what was settled written: now, if nothing else waits to be settled, else soon, with what follows."""
    if not session.unsettled.incoming:
        pump.flush()
    elif not pump.flush_is_due:
        pump.flush_soon()


def try_settle(delivery: IncomingDelivery, outcome: codec.DeliveryState) -> bool:
    """Settle while events are handled; False if the link has gone in the same breath."""
    try:
        delivery.settle(outcome)
    except LocalProtocolError as error:
        _logger.info("Message %d of link %r isn't settled: %s", delivery.delivery_id, delivery.link.name, error)
        return False
    return True
