"""The life of a token; against a scripted peer, with the test's own clocks."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.peer.frames import decode_sections
from tests.support.requests import Called, answer
from uamqp.codec import ULong
from uamqp.core import (
    CBS_NODE,
    ConnectionCore,
    Token,
    TokenClaim,
    TokenKeeper,
    TokenStatus,
    TokenStep,
    shared_access_signature,
)
from uamqp.core.tokens import REFRESH_PAUSE
from uamqp.engine import LocalProtocolError

WALL = 1_700_000_000.0


class Service(Called):
    """A client whose tokens go to a service, over links that are open."""

    def __init__(self) -> None:
        super().__init__(CBS_NODE)
        self.links = self.open()
        self.accept(first=True)
        self.number = -1  # of the last request over these links

    def expect_put(self, token: str = "secret") -> int:
        """The service gets a token; return the request's number."""
        sections = dict(decode_sections(self.peer.expect("transfer").payload))
        assert sections["amqp_value"] == token
        assert sections["application_properties"]["operation"] == "put-token"
        return int(sections["properties"].fields["message_id"].value)

    def grant(self, request: int, status: int = 202, text: str = "") -> None:
        """It answers."""
        properties = {"status-code": status, "status-description": text}
        self.answer(answer(ULong(request), properties))

    def accept_new_links(self) -> None:
        self.peer.expect("detach", handle=0)
        self.peer.expect("detach", handle=1)
        self.peer.send("detach", handle=1, closed=True)
        self.accept()


# -- where a token stands


class Claims:
    """A token's claim on a node."""

    def __init__(self, timeout: float = 10.0) -> None:
        self.node = Service()
        self.claim = TokenClaim(self.node.node, timeout)

    def put(self, life: float = 1000.0, window: float = 0.0, now: float = 0.0) -> int:
        self.claim.put(Token("secret", "jwt", "aud", WALL + life, window), now)
        return self.node.expect_put()

    def grant(self, request: int, status: int = 202, text: str = "") -> None:
        self.node.grant(request, status, text)

    def status(self, wall: float, now: float = 0.0) -> TokenStatus:
        return self.claim.status(now, WALL + wall)


@pytest.fixture
def claims() -> Claims:
    return Claims()


def test_a_token_from_the_first_to_the_last_second(claims: Claims) -> None:
    assert claims.status(0) is TokenStatus.IDLE
    request = claims.put(life=1000)
    assert claims.status(0) is TokenStatus.IN_PROGRESS
    claims.grant(request)
    assert claims.status(0) is TokenStatus.OK
    assert claims.status(899.9) is TokenStatus.OK
    assert claims.status(900) is TokenStatus.REFRESH_REQUIRED  # the last tenth
    assert claims.claim.is_in_force(WALL + 999.9)
    assert claims.status(1000) is TokenStatus.EXPIRED
    assert not claims.claim.is_in_force(WALL + 1000)


@pytest.mark.parametrize(("window", "due"), [(100, 900), (400, 600), (900, 500)])
def test_a_refresh_window_is_half_of_its_life_at_most(claims: Claims, window: float, due: float) -> None:
    claims.grant(claims.put(life=1000, window=window))
    assert claims.status(0) is TokenStatus.OK
    assert claims.claim.next_look(0.0, WALL) == due
    assert claims.status(due - 0.1) is TokenStatus.OK
    assert claims.status(due) is TokenStatus.REFRESH_REQUIRED


def test_the_old_token_counts_while_a_new_one_is_asked_for(claims: Claims) -> None:
    claims.grant(claims.put(life=1000))
    claims.status(0)
    request = claims.put(life=2000)
    assert claims.status(950) is TokenStatus.IN_PROGRESS
    assert claims.claim.is_in_force(WALL + 950)
    claims.grant(request, 401, "not any more")
    assert claims.status(950) is TokenStatus.ERROR
    assert claims.claim.refusal is not None
    assert (claims.claim.refusal.status, claims.claim.refusal.description) == (401, "not any more")
    assert claims.claim.is_in_force(WALL + 950)


def test_a_node_that_does_not_answer_in_time(claims: Claims) -> None:
    request = claims.put(now=5.0)
    assert claims.claim.next_look(7.0, WALL) == 8.0
    assert claims.status(0, now=14.9) is TokenStatus.IN_PROGRESS
    assert claims.status(0, now=15.0) is TokenStatus.TIMEOUT
    claims.grant(request)  # too late
    assert claims.status(0, now=16.0) is TokenStatus.TIMEOUT
    claims.grant(claims.put(now=17.0))
    assert claims.status(0, now=17.0) is TokenStatus.OK


@pytest.mark.parametrize(("status", "granted"), [(199, False), (200, True), (202, True), (299, True), (300, False)])
def test_which_status_grants(claims: Claims, status: int, granted: bool) -> None:
    claims.grant(claims.put(), status)
    assert claims.status(0) is (TokenStatus.OK if granted else TokenStatus.ERROR)


def test_an_answer_without_a_status_is_no_grant(claims: Claims) -> None:
    request = claims.put()
    claims.node.answer(answer(ULong(request)))
    assert claims.status(0) is TokenStatus.ERROR
    assert claims.claim.refusal is not None
    assert "no status" in claims.claim.refusal.description


def test_a_token_that_another_has_taken_the_place_of_is_forgotten(claims: Claims) -> None:
    first = claims.put()
    second = claims.put()
    claims.grant(first, 401)
    assert claims.node.links.unmatched == 1
    assert claims.status(0) is TokenStatus.IN_PROGRESS
    claims.grant(second)
    assert claims.status(0) is TokenStatus.OK


def test_the_status_of_the_cbs_draft_counts_first(claims: Claims) -> None:
    request = claims.put()
    properties = {"statusCode": 200, "status-code": 401, "statusDescription": "fine", "status-description": "not you"}
    claims.node.answer(answer(ULong(request), properties))
    assert claims.status(0) is TokenStatus.ERROR
    assert claims.claim.refusal is not None
    assert (claims.claim.refusal.status, claims.claim.refusal.description) == (401, "not you")


def test_asking_again_is_put_off_while_there_is_no_new_token(claims: Claims) -> None:
    claims.grant(claims.put(life=1000))
    claims.status(0)
    assert claims.status(900) is TokenStatus.REFRESH_REQUIRED
    claims.claim.postpone(WALL + 900)
    pause = min(REFRESH_PAUSE, 100 / 4)
    assert claims.status(900 + pause - 0.1) is TokenStatus.OK
    assert claims.claim.next_look(0.0, WALL + 900) == pause
    assert claims.status(900 + pause) is TokenStatus.REFRESH_REQUIRED


def test_links_that_go_matter_only_without_a_token(claims: Claims) -> None:
    claims.grant(claims.put(life=1000))
    claims.status(0)
    claims.node.peer.send("detach", handle=0, closed=True)
    assert claims.node.links.is_over
    assert claims.status(10) is TokenStatus.OK
    assert claims.status(1000) is TokenStatus.EXPIRED  # the next token goes over new ones


def test_links_that_go_before_there_is_a_token(claims: Claims) -> None:
    claims.put()
    claims.node.peer.send("detach", handle=0, closed=True)
    assert claims.status(0) is TokenStatus.FAILURE


def test_links_that_go_before_a_new_token_is_granted(claims: Claims) -> None:
    claims.grant(claims.put(life=1000))
    claims.status(0)
    claims.put(life=2000)
    claims.node.peer.send("detach", handle=0, closed=True)
    assert claims.status(999) is TokenStatus.ERROR  # the old one counts
    assert claims.status(1000) is TokenStatus.FAILURE


def test_an_answer_is_overdue_until_somebody_looks(claims: Claims) -> None:
    assert not claims.claim.is_overdue(100.0)
    claims.grant(claims.put(now=5.0))
    assert not claims.claim.is_overdue(16.0)  # it is there
    claims.status(0, now=16.0)
    claims.put(now=20.0)
    assert not claims.claim.is_overdue(29.9)
    assert claims.claim.is_overdue(30.0)
    assert claims.status(0, now=30.0) is TokenStatus.TIMEOUT
    assert not claims.claim.is_overdue(31.0)


def test_a_token_is_never_shown() -> None:
    assert "secret" not in repr(Token("secret", "jwt", "aud", WALL))


def test_a_shared_access_signature() -> None:
    # RFC 2104 of "sb%3a%2f%2fhost\n1700000060" with the key "key", as `openssl dgst -sha256 -hmac key -binary` has it
    signature = "EBeoTNzVwTIb1dgQgseKVg83yvpF2ac20fdKMolxjsk%3d"
    made = shared_access_signature(b"key", b"sb%3a%2f%2fhost", b"name", 1_700_000_060, WALL)
    assert made.decode() == f"SharedAccessSignature sr=sb%3a%2f%2fhost&sig={signature}&se=1700000060&skn=name"


def test_a_shared_access_signature_that_would_have_ended() -> None:
    with pytest.raises(ValueError, match="has passed"):
        shared_access_signature(b"key", b"scope", b"name", int(WALL), WALL)


# -- what is done about it


@dataclass
class Policy:
    retries: float = 3
    backoff: float = 0.0


class Kept:
    """A token that is kept, and the clocks."""

    def __init__(self, policy: Policy | None = None, timeout: float = 10.0) -> None:
        self.service = Service()
        self.core: ConnectionCore = self.service.core
        self.keeper = TokenKeeper(self.service.node, policy or Policy(), timeout)
        self.core.keeper = self.keeper
        self.now = 0.0
        self.wall = WALL

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds

    def step(self, who: object = "me") -> TokenStep:
        return self.keeper.step(who, self.now, self.wall)

    def give(self, token: str = "secret", life: float = 1000.0, *, is_new: bool = True) -> None:
        """As one does who was told to put a token."""
        try:
            self.keeper.put(Token(token, "jwt", "aud", self.wall + life), self.now, self.wall, is_new=is_new)
        finally:
            self.keeper.leave("me")

    def grant(self, token: str = "secret", status: int = 202, text: str = "") -> None:
        self.service.grant(self.service.expect_put(token), status, text)

    def have(self, life: float = 1000.0) -> None:
        """Put a first token that the node accepts."""
        assert self.step() is TokenStep.PUT
        self.give(life=life)
        self.grant()
        assert self.step() is TokenStep.NOTHING
        assert self.is_ready

    @property
    def is_ready(self) -> bool:
        return self.core.is_ready(self.wall)

    @property
    def is_due(self) -> bool:
        return self.keeper.is_due(self.wall)

    def refuse(self, status: int = 500, text: str = "busy") -> None:
        self.give()
        self.grant(status=status, text=text)


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_a_connection_without_tokens_is_ready() -> None:
    assert Called().core.is_ready(WALL)


def test_nothing_is_sent_before_a_token_is_in_force(kept: Kept) -> None:
    assert not kept.is_ready
    assert kept.step() is TokenStep.PUT
    kept.give(life=1000)
    request = kept.service.expect_put()
    assert kept.step() is TokenStep.NOTHING
    assert not kept.is_ready
    kept.service.grant(request)
    assert not kept.is_ready  # nobody has looked at the answer
    assert kept.step() is TokenStep.NOTHING
    assert kept.is_ready
    kept.pass_by(999.9)
    assert kept.is_ready
    kept.pass_by(0.1)
    assert not kept.is_ready


def test_the_tokens_deadline_is_one_of_the_connections(kept: Kept) -> None:
    assert kept.core.next_deadline() is None
    kept.step()
    assert kept.core.next_deadline() is None  # who is at it says when he is done
    kept.give(life=1000)
    assert kept.core.next_deadline() == 10.0  # for the answer
    kept.grant()
    kept.step()
    assert kept.keeper.next_deadline() == 900.0
    assert not kept.core.expire(10.0)  # it was answered
    assert kept.core.next_deadline() == 900.0
    assert not kept.core.expire(899.9)
    assert kept.core.expire(900.0)  # whoever waits looks
    assert kept.core.next_deadline() is None
    kept.pass_by(900)
    assert kept.step() is TokenStep.RENEW
    kept.keeper.leave("me")
    assert kept.core.next_deadline() == 900.0


def test_the_token_of_a_connection_that_is_over_has_no_deadline(kept: Kept) -> None:
    kept.have()
    kept.core.end(None, kept.now)
    assert kept.core.next_deadline() is None


def test_a_token_that_is_not_needed_any_more_has_no_deadline(kept: Kept) -> None:
    kept.have()
    kept.keeper.close(kept.now)
    kept.service.peer.expect("detach", handle=0)
    kept.service.peer.send("detach", handle=0, closed=True)
    kept.service.peer.expect("detach", handle=1)
    kept.service.peer.send("detach", handle=1, closed=True)
    assert kept.core.next_deadline() is None


@pytest.mark.parametrize(("timeout", "due"), [(10.0, 10.0), (0.0, 30.0), (100.0, 30.0)])
def test_the_deadline_of_a_connection_is_the_first(timeout: float, due: float) -> None:
    client = Called(CBS_NODE)
    client.core.keeper = keeper = TokenKeeper(client.node, Policy(), timeout)
    assert client.core.next_deadline() == 30.0  # until the peer has opened the connection
    keeper.put(Token("secret", "jwt", "aud", WALL + 1000), 0.0, WALL)
    assert client.core.next_deadline() == due


def test_a_token_is_renewed_before_it_ends(kept: Kept) -> None:
    kept.have(life=1000)
    kept.pass_by(899.75)
    assert kept.step() is TokenStep.NOTHING
    kept.pass_by(0.25)
    assert kept.keeper.next_deadline() == kept.now
    assert kept.step() is TokenStep.RENEW
    assert kept.is_ready
    kept.pass_by(5)  # which it took to get one
    kept.give("another", life=1000)
    request = kept.service.expect_put("another")
    assert kept.step() is TokenStep.NOTHING
    assert kept.is_ready
    kept.service.grant(request)
    assert kept.step() is TokenStep.NOTHING
    assert kept.keeper.next_deadline() == kept.now + 900
    kept.pass_by(800)
    assert kept.is_ready


def test_a_token_that_has_ended_is_replaced(kept: Kept) -> None:
    kept.have(life=1000)
    kept.pass_by(1000)
    assert kept.step() is TokenStep.REPLACE
    kept.give(is_new=False)  # it may be the same with another end
    kept.grant()
    assert kept.step() is TokenStep.NOTHING
    assert kept.is_ready


def test_a_token_that_is_no_new_one_is_asked_for_again_later(kept: Kept) -> None:
    kept.have(life=1000)
    kept.pass_by(900)
    for left in (100, 75, 56.25):
        assert kept.step() is TokenStep.RENEW
        kept.give(life=left, is_new=False)
        pause = min(REFRESH_PAUSE, left / 4)
        assert kept.keeper.next_deadline() == kept.now + pause
        kept.pass_by(pause - 0.01)
        assert kept.step() is TokenStep.NOTHING
        kept.pass_by(0.01)
    assert kept.step() is TokenStep.RENEW
    kept.give("another")
    kept.service.expect_put("another")  # and no other before


def test_a_token_that_is_refused_is_put_again_a_few_times() -> None:
    kept = Kept(Policy(retries=2))
    assert kept.step() is TokenStep.PUT
    for refusals in (1, 2):
        kept.refuse()
        assert kept.step() is TokenStep.PUT
        assert kept.step() is TokenStep.PUT
        assert kept.keeper.refusals == refusals
    kept.refuse(403, "not you")
    for _ in range(2):
        assert kept.step() is TokenStep.REFUSED
    kept.keeper.leave("me")
    assert kept.keeper.refusal is not None
    assert (kept.keeper.refusal.status, kept.keeper.refusal.description) == (403, "not you")
    assert kept.keeper.refusals == 2
    assert not kept.is_ready


def test_refusals_count_since_a_token_was_in_force() -> None:
    kept = Kept(Policy(retries=1))
    for _ in range(2):
        assert kept.step() in (TokenStep.PUT, TokenStep.RENEW)
        kept.refuse()
        assert kept.step() is TokenStep.PUT
        assert kept.keeper.refusals == 1
        kept.give(life=1000)
        kept.grant()
        assert kept.step() is TokenStep.NOTHING
        assert kept.keeper.refusals == 0
        assert kept.keeper.refusal is None
        kept.pass_by(900)
    assert kept.step() is TokenStep.RENEW
    kept.refuse()
    assert kept.step() is TokenStep.PUT
    kept.refuse()
    assert kept.step() is TokenStep.REFUSED
    assert kept.is_ready  # the old one counts


def test_between_two_tries_there_is_a_pause() -> None:
    kept = Kept(Policy(backoff=5))
    kept.step()
    kept.refuse()
    assert kept.step() is TokenStep.WAIT
    assert kept.keeper.back_off(kept.now) == 5
    kept.pass_by(4)
    assert kept.step() is TokenStep.WAIT
    assert kept.keeper.back_off(kept.now) == 1
    assert kept.step("another") is TokenStep.NOTHING
    kept.keeper.leave("me")
    assert kept.keeper.next_deadline() == kept.core.next_deadline() == 5
    kept.pass_by(1)
    assert kept.keeper.back_off(kept.now) == 0
    assert kept.step() is TokenStep.PUT
    assert kept.keeper.refusals == 1
    kept.refuse()
    assert kept.step() is TokenStep.WAIT  # each time
    assert kept.keeper.back_off(kept.now) == 5


def test_a_refused_token_that_has_ended_is_not_put_again(kept: Kept) -> None:
    kept.step()
    kept.give(life=60)
    request = kept.service.expect_put()
    kept.pass_by(60)
    kept.service.grant(request, 500)
    assert kept.step() is TokenStep.RENEW
    assert kept.keeper.refusals == 1
    kept.give("another", is_new=False)  # there is none in force that it could be
    kept.grant("another")
    assert kept.step() is TokenStep.NOTHING
    assert kept.is_ready


def test_a_service_that_does_not_answer_is_given_up(kept: Kept) -> None:
    kept.step()
    kept.give()
    request = kept.service.expect_put()
    kept.pass_by(9.9)
    assert not kept.keeper.is_overdue(kept.now)
    assert kept.step() is TokenStep.NOTHING
    kept.pass_by(0.1)
    assert kept.keeper.is_overdue(kept.now)
    assert kept.step() is TokenStep.TIMED_OUT
    kept.keeper.leave("me")
    kept.service.grant(request)  # too late
    assert kept.step() is TokenStep.TIMED_OUT


def test_links_that_were_refused_are_given_up(kept: Kept) -> None:
    kept.step()
    kept.give()
    kept.service.lose_links()
    assert kept.step() is TokenStep.LOST
    assert kept.keeper.cause is not None
    assert kept.keeper.cause.condition == "amqp:resource-deleted"


def test_links_that_go_while_a_token_is_in_force_are_opened_anew(kept: Kept) -> None:
    kept.have(life=1000)
    kept.service.lose_links()
    assert kept.step() is TokenStep.NOTHING
    assert kept.is_ready
    kept.pass_by(900)
    assert kept.step() is TokenStep.RENEW
    kept.give("another")
    kept.service.accept_new_links()
    kept.grant("another")
    assert kept.step() is TokenStep.NOTHING
    assert kept.keeper.cause is None
    kept.pass_by(800)
    assert kept.is_ready


def test_one_is_at_it_and_the_others_wait(kept: Kept) -> None:
    assert kept.step("first") is TokenStep.PUT
    assert kept.step("first") is TokenStep.PUT  # a signal handler may have interrupted him
    assert kept.step("second") is TokenStep.NOTHING
    assert not kept.keeper.leave("second")  # he wasn't at it
    assert kept.keeper.next_deadline() is None
    assert kept.keeper.leave("first")  # somebody waits for it
    assert kept.keeper.next_deadline() == kept.now  # nothing has come of it
    assert kept.step("second") is TokenStep.PUT
    assert not kept.keeper.leave("second")


def test_who_is_at_it_hands_over(kept: Kept) -> None:
    kept.keeper.occupy("opening")
    assert kept.step("first") is TokenStep.NOTHING
    assert kept.keeper.leave("opening")
    assert kept.step("first") is TokenStep.PUT
    kept.keeper.leave("first", "a task")
    for who in ("first", "second"):
        assert kept.step(who) is TokenStep.NOTHING
    assert kept.core.next_deadline() is None
    assert kept.keeper.leave("a task")
    assert kept.step("second") is TokenStep.PUT


def test_what_is_in_force_is_nobodys_business(kept: Kept) -> None:
    kept.have(life=1000)
    assert kept.keeper.next_deadline() == 900
    assert kept.step("another") is TokenStep.NOTHING
    assert not kept.keeper.leave("another")
    kept.pass_by(900)
    assert kept.step("first") is TokenStep.RENEW
    kept.wall -= 10  # the calendar was put back
    assert kept.step("second") is TokenStep.NOTHING
    kept.keeper.put(Token("secret", "jwt", "aud", kept.wall + 100), kept.now, kept.wall, is_new=False)
    kept.keeper.leave("first")
    assert kept.is_ready


def test_a_token_that_has_ended_is_not_put(kept: Kept) -> None:
    kept.step()
    with pytest.raises(ValueError, match="Token has expired"):
        kept.give(life=0)
    assert kept.step() is TokenStep.PUT
    kept.give("good")
    kept.service.expect_put("good")


def test_a_session_that_has_ended_takes_no_token(kept: Kept) -> None:
    kept.have(life=1000)
    kept.service.session.end(kept.now)
    kept.pass_by(1000)
    assert kept.step() is TokenStep.REPLACE
    with pytest.raises(LocalProtocolError, match="the session has ended"):
        kept.give()


def test_the_links_may_be_opened_before_there_is_a_token() -> None:
    client = Called(CBS_NODE)
    keeper = TokenKeeper(client.node, Policy())
    keeper.close(0.0)
    assert keeper.cause is None
    keeper.open(0.0)
    client.accept(first=True)
    assert keeper.step("me", 0.0, WALL) is TokenStep.PUT
    keeper.close(0.0)
    assert keeper.step("me", 0.0, WALL) is TokenStep.LOST


# -- who is called


def test_somebody_is_called_when_there_is_something_to_do(kept: Kept) -> None:
    calls: list[bool] = []
    kept.keeper.on_due = lambda: calls.append(kept.is_due)
    assert kept.is_due  # there is no token yet
    kept.step()
    assert not kept.is_due  # somebody is at it
    kept.give(life=1000)
    assert not kept.is_due  # the answer is awaited
    request = kept.service.expect_put()
    kept.service.grant(request)
    assert calls == [True]  # it has come
    assert kept.is_due
    assert kept.step() is TokenStep.NOTHING
    assert not kept.is_due
    kept.pass_by(900)
    assert kept.core.expire(kept.now)
    assert calls == [True, True]  # it is time for a new one
    assert kept.is_due


def test_one_is_called_when_the_answer_does_not_come(kept: Kept) -> None:
    kept.step()
    kept.give()
    kept.service.expect_put()
    assert not kept.is_due
    calls: list[None] = []
    kept.keeper.on_due = lambda: calls.append(None)
    kept.pass_by(10)
    assert kept.core.expire(kept.now)
    assert calls == [None]
    assert kept.step() is TokenStep.TIMED_OUT
    kept.keeper.leave("me")
    assert kept.is_due  # for the next one: it is given up for all


def test_one_is_called_when_the_links_go(kept: Kept) -> None:
    kept.step()
    kept.give()
    kept.service.expect_put()
    calls: list[None] = []
    kept.keeper.on_due = lambda: calls.append(None)
    kept.service.peer.send("detach", handle=0, closed=True)
    kept.service.peer.expect("detach")
    assert calls == [None]


def test_the_next_is_called_when_who_was_at_it_has_left(kept: Kept) -> None:
    calls: list[None] = []
    kept.keeper.on_due = lambda: calls.append(None)
    assert kept.step("first") is TokenStep.PUT
    assert kept.step("second") is TokenStep.NOTHING
    assert calls == []
    kept.keeper.leave("first")  # nothing was put
    assert calls == [None]
    assert kept.is_due


def test_the_calendar_may_be_set_forward(kept: Kept) -> None:
    """No deadline comes with that."""
    kept.have(life=1000)
    assert not kept.is_due
    kept.wall += 899
    assert not kept.is_due
    kept.wall += 1
    assert kept.is_due
