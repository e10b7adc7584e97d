"""Whatever is done to an object of a compiled class, Python raises: the process doesn't crash."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.builds import LIMIT, ROOT, compiled_modules
from uamqp import codec

EVERY = 5
"""One in this many of the probes with a connection is made here; all of them would take minutes."""

CASES = {
    "a delivery without a link": "from uamqp.engine import IncomingDelivery as D; D().settle(None)",
    "a delivery that was sent without a link": "from uamqp.engine import OutgoingDelivery as D; D().settle()",
    "a copy of a delivery": "import copy; from uamqp.engine import IncomingDelivery as D; copy.copy(D()).settle(None)",
    "credit without a session": "from uamqp.engine import Receiver as R; R.__new__(R).set_credit(1)",
    "a window without a session": "from uamqp.engine import Receiver as R; R.__new__(R).auto_credit(1)",
    "a session without an engine": "from uamqp.engine import Session as S; S.__new__(S).mark()",
    "no message": "from uamqp.classic.client.receiving import Arrivals; Arrivals().take_in(None)",
    "a field of nothing": "from uamqp.message import MessageProperties as P; vars(P)['message_id'].__set__(None, None)",
    "no entry": "from uamqp.core.outbox import Outbox; Outbox().finish(None)",
    "no delivery": "from uamqp.engine.settlement import Unsettled; Unsettled(None, 1).add_incoming(None)",
    "a state that is none": "from uamqp.core.outbox import Entry; Entry.__new__(Entry).__setstate__(None)",
    "a message whose delivery lost its link": """
from uamqp import Message, ReceiveClient
from uamqp.testing import Broker
with Broker() as broker:
    broker.put("q", Message(b"x"))
    with ReceiveClient(f"{broker.url}/q", auto_complete=False) as client:
        (message,) = client.receive_message_batch(timeout=10000)
        message._delivery.link = None
        message.accept()
""",
}


@pytest.mark.parametrize("code", CASES.values(), ids=CASES)
def test_misuse_raises(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith(("AttributeError: ", "TypeError: ")), done.stderr


@pytest.mark.skipif(not codec.COMPILED, reason="needs the compiled package: `make unit-compiled`")
@pytest.mark.parametrize("module", compiled_modules())
def test_no_class_of_a_module_can_be_made_to_crash(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "tests.compiled.misuse", str(EVERY), module],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT,
    )  # fmt: skip
    probes = done.stdout.splitlines()
    assert done.returncode == 0, f"{probes[-1:]}: exit status {done.returncode}\n{done.stderr[-2000:]}"
    assert probes[-1] == "done"
    assert len(probes) > 20
