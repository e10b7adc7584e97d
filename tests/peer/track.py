"""What a peer keeps in mind of the sessions and links on its connection, in both directions.

It fills in the numbers of the frames that a script sends (`defaults`), and holds what comes against the
specification's rules on state (`came`): channels and handles in use, windows, credit, delivery ids and
counts, settle modes, limits. What goes is not checked: a script breaks rules on purpose.
It imports nothing of the library.

Frames cross on the wire, so a window or a credit that this side has made smaller is not held against the
other side: what counts is the most that was ever granted.
"""

from __future__ import annotations

from typing import Any

from .frames import Frame

SENDER = False
RECEIVER = True
WRAP = 1 << 32


def ahead(one: int, other: int) -> int:
    """How far `one` is ahead of `other`, as serial numbers of 32 bits; negative if it is behind."""
    distance = (one - other) % WRAP
    return distance - WRAP if distance >= WRAP // 2 else distance


class Delivery:
    """A delivery that is coming in, until its last transfer."""

    def __init__(self, number: int, tag: bytes | None) -> None:
        self.number = number
        self.tag = tag
        self.size = 0
        self.settled = False


class LinkState:
    """A link: the handles of both sides, and the counters of its credit."""

    def __init__(self, name: str, they_send: bool) -> None:
        self.name = name
        self.they_send = they_send
        self.their_handle: int | None = None
        self.our_handle: int | None = None
        self.delivery_count = 0  # deliveries begun, from the initial count on
        self.credit = 0  # the most deliveries that any grant of ours still allows them
        self.our_credit = 0  # what they have granted us
        self.max_message_size = 0
        self.snd_settle_mode: int | None = None
        self.current: Delivery | None = None
        self.tags: dict[int, bytes] = {}  # of deliveries that came and are not settled


class SessionState:
    """A session: the channels of both sides, windows and links."""

    def __init__(self) -> None:
        self.our_channel: int | None = None
        self.their_channel: int | None = None
        self.we_ended = False
        self.they_ended = False
        self.they_answered = False
        self.next_incoming_id: int | None = None
        self.last_delivery_id: int | None = None  # of theirs
        self.their_window = 0  # the most transfers that any grant of ours still allows them
        self.next_outgoing_id = 0
        self.next_delivery_id = 0  # of ours
        self.incoming_window = 2048
        self.outgoing_window = 2048
        self.handle_max = WRAP - 1
        self.by_their_handle: dict[int, LinkState] = {}
        self.by_our_handle: dict[int, LinkState] = {}

    def link_named(self, name: str, they_send: bool) -> LinkState | None:
        both = [*self.by_our_handle.values(), *self.by_their_handle.values()]
        return next((link for link in both if (link.name, link.they_send) == (name, they_send)), None)

    def grant(self, next_incoming_id: int | None, window: int) -> None:
        """We have told them a window."""
        self.incoming_window = window
        if self.next_incoming_id is None:
            return
        base = self.next_incoming_id if next_incoming_id is None else next_incoming_id
        self.their_window = max(self.their_window, window - ahead(self.next_incoming_id, base))


class Tracker:
    """The state of one connection as one side sees it."""

    def __init__(self) -> None:
        self.they_opened = False
        self.they_closed = False
        self.we_opened = False
        self.channel_max = 65535
        self.by_their_channel: dict[int, SessionState] = {}
        self.by_our_channel: dict[int, SessionState] = {}
        self._detached: dict[tuple[int, int], LinkState] = {}

    # ------------------------------------------------------- for scripts

    def session(self, our_channel: int) -> SessionState:
        """The session that we began on this channel; an empty one if there is none."""
        return self.by_our_channel.get(our_channel) or SessionState()

    def our_channel(self, their_channel: int) -> int:
        session = self.by_their_channel.get(their_channel)
        found = session.our_channel if session is not None else None
        return their_channel if found is None else found

    def our_handle(self, detach: Frame) -> tuple[int, int]:
        """Our handle and channel for a detach that came."""
        link = self._detached.get((detach.channel, detach["handle"]))
        found = link.our_handle if link is not None else None
        return detach["handle"] if found is None else found, self.our_channel(detach.channel)

    def next_delivery_id(self, our_channel: int) -> int:
        return self.session(our_channel).next_delivery_id

    def delivery_count(self, our_channel: int, our_handle: int) -> int:
        link = self.session(our_channel).by_our_handle.get(our_handle)
        return link.delivery_count if link is not None else 0

    def credit(self, our_channel: int, our_handle: int) -> int:
        """What their flows have granted to a sender of ours, and it has not used."""
        link = self.session(our_channel).by_our_handle.get(our_handle)
        return link.our_credit if link is not None else 0

    def defaults(self, name: str, channel: int) -> dict[str, Any]:
        """The fields of begin and flow that a session knows by itself."""
        session = self.session(channel)
        if name == "begin":
            return {"next_outgoing_id": 0, "incoming_window": 2048, "outgoing_window": 2048}
        if name == "flow":
            return {
                "next_incoming_id": session.next_incoming_id,
                "incoming_window": session.incoming_window,
                "next_outgoing_id": session.next_outgoing_id,
                "outgoing_window": session.outgoing_window,
            }
        return {}

    # ------------------------------------------------------- what goes

    def goes(self, frame: Frame) -> None:
        handler = getattr(self, f"_goes_{frame.name}", None)
        if handler is not None:
            handler(frame, self.by_our_channel.get(frame.channel))

    def _goes_open(self, frame: Frame, session: SessionState | None) -> None:
        self.we_opened = True
        self.channel_max = frame.get("channel_max")

    def _goes_begin(self, frame: Frame, session: SessionState | None) -> None:
        answered = self.by_their_channel.get(frame["remote_channel"], None)
        session = SessionState() if answered is None else answered
        session.our_channel = frame.channel
        session.next_outgoing_id = frame["next_outgoing_id"] or 0
        session.next_delivery_id = session.next_outgoing_id
        session.outgoing_window = frame["outgoing_window"] or 0
        session.handle_max = frame.get("handle_max")
        session.grant(None, frame["incoming_window"] or 0)
        self.by_our_channel[frame.channel] = session

    def _goes_attach(self, frame: Frame, session: SessionState | None) -> None:
        if session is None or frame["name"] is None or frame["handle"] is None:
            return
        they_send = frame["role"] == RECEIVER
        link = session.link_named(frame["name"], they_send) or LinkState(frame["name"], they_send)
        link.our_handle = frame["handle"]
        session.by_our_handle[frame["handle"]] = link
        if they_send:
            link.max_message_size = frame["max_message_size"] or 0
        else:
            link.delivery_count = frame["initial_delivery_count"] or 0

    def _goes_flow(self, frame: Frame, session: SessionState | None) -> None:
        if session is None:
            return
        session.grant(frame["next_incoming_id"], frame["incoming_window"] or 0)
        link = session.by_our_handle.get(frame["handle"], None)
        if link is None:
            return
        if not link.they_send:  # credit given back moves our count
            if frame["delivery_count"] is not None:
                link.delivery_count = frame["delivery_count"]
            return
        if frame["link_credit"] is None:
            return
        base = link.delivery_count if frame["delivery_count"] is None else frame["delivery_count"]
        link.credit = max(link.credit, frame["link_credit"] - ahead(link.delivery_count, base))

    def _goes_transfer(self, frame: Frame, session: SessionState | None) -> None:
        if session is None:
            return
        session.next_outgoing_id = (session.next_outgoing_id + 1) % WRAP
        link = session.by_our_handle.get(frame["handle"], None)
        if frame["delivery_id"] is None:
            return
        if link is not None and (link.current is None or link.current.number != frame["delivery_id"]):
            link.delivery_count = (link.delivery_count + 1) % WRAP
            link.our_credit -= 1
            link.current = Delivery(frame["delivery_id"], None)
        session.next_delivery_id = (frame["delivery_id"] + 1) % WRAP

    def _goes_detach(self, frame: Frame, session: SessionState | None) -> None:
        if session is not None:
            session.by_our_handle.pop(frame["handle"], None)

    def _goes_end(self, frame: Frame, session: SessionState | None) -> None:
        if session is not None:
            session.we_ended = True
            self._forget(session)

    def _forget(self, session: SessionState) -> None:
        if not (session.we_ended and session.they_ended):
            return
        if self.by_our_channel.get(session.our_channel or 0) is session:
            del self.by_our_channel[session.our_channel or 0]
        if session.their_channel is not None:
            self.by_their_channel.pop(session.their_channel, None)

    # ------------------------------------------------------- what comes

    def came(self, frame: Frame) -> list[str]:
        """Takes note of a frame that came; returns what is wrong with it."""
        if frame.type != 0 or frame.name == "empty":
            return []
        if self.they_closed:
            return ["a frame after close"]
        if frame.name == "open":
            twice, self.they_opened = self.they_opened, True
            return ["a second open"] if twice else ["open on another channel than 0"] * bool(frame.channel)
        if not self.they_opened:
            return [f"{frame.name} before open"]
        if frame.name == "close":
            self.they_closed = True
            return []
        if self.we_opened and frame.channel > self.channel_max:
            return [f"channel {frame.channel}; our channel-max is {self.channel_max}"]
        if frame.name == "begin":
            return self._came_begin(frame)
        session = self.by_their_channel.get(frame.channel)
        if session is None or session.they_ended:
            return [f"{frame.name} on channel {frame.channel}, where they have no session"]
        findings: list[str] = getattr(self, f"_came_{frame.name}")(frame, session)
        return findings

    def _came_begin(self, frame: Frame) -> list[str]:
        if frame.channel in self.by_their_channel:
            return [f"begin on channel {frame.channel}, which is in use"]
        session = SessionState()
        if frame["remote_channel"] is not None:
            answered = self.by_our_channel.get(frame["remote_channel"])
            if answered is None or answered.their_channel is not None:
                return [f"begin answers {frame['remote_channel']}, where we have no begin to be answered"]
            session = answered
            session.they_answered = True
        session.their_channel = frame.channel
        session.next_incoming_id = frame["next_outgoing_id"]
        if session.our_channel is not None:
            session.grant(None, session.incoming_window)
        self.by_their_channel[frame.channel] = session
        return []

    def _came_end(self, frame: Frame, session: SessionState) -> list[str]:
        session.they_ended = True
        self._forget(session)
        return []

    def _came_attach(self, frame: Frame, session: SessionState) -> list[str]:
        handle, they_send = frame["handle"], frame["role"] == SENDER
        if handle in session.by_their_handle:
            return [f"attach with handle {handle}, which is in use"]
        if handle > session.handle_max:
            return [f"attach with handle {handle}; our handle-max is {session.handle_max}"]
        link = session.link_named(frame["name"], they_send)
        if link is None:
            link = LinkState(frame["name"], they_send)
        elif link.their_handle is not None:
            return [f"attach of {frame['name']!r}, which is attached already"]
        link.their_handle = handle
        session.by_their_handle[handle] = link
        if they_send:
            if frame["initial_delivery_count"] is None:
                return ["a sender's attach without initial-delivery-count"]
            link.delivery_count = frame["initial_delivery_count"]
            link.snd_settle_mode = frame.get("snd_settle_mode")
        return []

    def _came_detach(self, frame: Frame, session: SessionState) -> list[str]:
        link = session.by_their_handle.pop(frame["handle"], None)
        if link is None:
            return [f"detach of handle {frame['handle']}, which is not attached"]
        link.their_handle = None
        self._detached[frame.channel, frame["handle"]] = link
        return []

    def _came_flow(self, frame: Frame, session: SessionState) -> list[str]:
        wrong = []
        if frame["next_outgoing_id"] != session.next_incoming_id:
            wrong.append(f"next-outgoing-id must be {session.next_incoming_id}")
        seen = frame["next_incoming_id"]
        if session.our_channel is None and not session.we_ended:
            if seen is not None:
                wrong.append("next-incoming-id before a begin of ours")
        elif seen is None and session.they_answered:
            wrong.append("no next-incoming-id after our begin")
        elif seen is not None and ahead(seen, session.next_outgoing_id) > 0:
            wrong.append(f"next-incoming-id is ahead of what we sent, {session.next_outgoing_id}")
        if frame["handle"] is None:
            given = [name for name in ("delivery_count", "link_credit", "available") if frame[name] is not None]
            return wrong + [f"{name} without a handle" for name in given]
        link = session.by_their_handle.get(frame["handle"])
        if link is None:
            return [*wrong, f"handle {frame['handle']} is not attached"]
        return wrong + self._came_link_flow(frame, link)

    def _came_link_flow(self, frame: Frame, link: LinkState) -> list[str]:
        count, credit = frame["delivery_count"], frame["link_credit"]
        if not link.they_send:
            if link.our_handle is None or count is None:  # right as long as they have not seen our attach
                return []
            ahead_of_us = ahead(count, link.delivery_count)
            link.our_credit = (credit or 0) + ahead_of_us
            return [f"delivery-count {count} is ahead of ours, {link.delivery_count}"] * (ahead_of_us > 0)
        if count is None:
            return ["a sender's flow without delivery-count"]
        given_back = (count - link.delivery_count) % WRAP
        if 0 < given_back <= link.credit and not credit:  # after drain
            link.delivery_count = count
            link.credit -= given_back
            return []
        moved = ahead(count, link.delivery_count)
        allowed = (0, -1) if link.current is not None else (0,)
        return [f"delivery-count {count}, but {link.delivery_count} deliveries began"] * (moved not in allowed)

    def _came_transfer(self, frame: Frame, session: SessionState) -> list[str]:
        wrong = []
        if session.next_incoming_id is not None:
            if session.their_window <= 0:
                wrong.append("transfer outside our incoming-window")
            session.their_window -= 1
            session.next_incoming_id = (session.next_incoming_id + 1) % WRAP
        link = session.by_their_handle.get(frame["handle"])
        if link is None or not link.they_send:
            return [*wrong, f"transfer on handle {frame['handle']}, which is no sender's"]
        if link.current is None:
            wrong += self._begin_delivery(frame, session, link)
        current = link.current
        if current is None:
            return wrong
        if frame["delivery_id"] not in (None, current.number):
            wrong.append(f"delivery-id {frame['delivery_id']} amid the transfers of {current.number}")
        if frame["delivery_tag"] not in (None, current.tag):
            wrong.append(f"delivery-tag {frame['delivery_tag']!r} amid the transfers of {current.tag!r}")
        current.size += len(frame.payload)
        current.settled = current.settled or bool(frame["settled"])
        if link.max_message_size and current.size > link.max_message_size:
            wrong.append(f"{current.size} bytes; our max-message-size is {link.max_message_size}")
        if frame.get("aborted") or not frame.get("more"):
            wrong += self._end_delivery(frame, link, current)
        return wrong

    def _begin_delivery(self, frame: Frame, session: SessionState, link: LinkState) -> list[str]:
        wrong = []
        number, tag = frame["delivery_id"], frame["delivery_tag"]
        if number is None or tag is None:
            return ["the first transfer of a delivery needs delivery-id and delivery-tag"]
        if session.last_delivery_id is not None and number != (session.last_delivery_id + 1) % WRAP:
            wrong.append(f"delivery-id {number} after {session.last_delivery_id}")
        if len(tag) > 32 or tag in link.tags.values():
            wrong.append(f"delivery-tag {tag!r} is in use or too long")
        if link.credit <= 0:
            wrong.append("a delivery without credit")
        link.credit -= 1
        session.last_delivery_id = number
        link.delivery_count = (link.delivery_count + 1) % WRAP
        link.current = Delivery(number, tag)
        return wrong

    def _end_delivery(self, frame: Frame, link: LinkState, current: Delivery) -> list[str]:
        link.current = None
        if frame.get("aborted"):
            return []
        if not current.settled and current.tag is not None:
            link.tags[current.number] = current.tag
        if link.snd_settle_mode == 1 and not current.settled:
            return ["an unsettled delivery on a link of snd-settle-mode settled"]
        if link.snd_settle_mode == 0 and current.settled:
            return ["a settled delivery on a link of snd-settle-mode unsettled"]
        return []

    def _came_disposition(self, frame: Frame, session: SessionState) -> list[str]:
        first = frame["first"]
        last = first if frame["last"] is None else frame["last"]
        wrong = [f"last {last} is behind first {first}"] * (ahead(last, first) < 0)
        if frame["role"] == RECEIVER:
            known = (session.next_delivery_id - 1) % WRAP
            return wrong + [f"delivery {last}; we have sent up to {known}"] * (ahead(last, known) > 0)
        if session.last_delivery_id is None or ahead(last, session.last_delivery_id) > 0:
            wrong.append(f"delivery {last}; they have sent up to {session.last_delivery_id}")
        if frame.get("settled"):
            for link in session.by_their_handle.values():
                link.tags = {n: tag for n, tag in link.tags.items() if ahead(n, first) < 0 or ahead(n, last) > 0}
        return wrong
