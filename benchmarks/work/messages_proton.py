"""The work of `messages_uamqp.py` done by python-qpid-proton's reactor; prints JSON.

messages_proton.py send|receive PORT COUNT BODY_BYTES [--ca FILE]
"""

import argparse
import json
import time

from proton import Message, SSLDomain
from proton.handlers import MessagingHandler
from proton.reactor import Container

parser = argparse.ArgumentParser()
parser.add_argument("mode", choices=["send", "receive"])
parser.add_argument("port", type=int)
parser.add_argument("count", type=int)
parser.add_argument("size", type=int)
parser.add_argument("--ca")
options = parser.parse_args()

BODY = b"x" * options.size


class Work(MessagingHandler):
    def __init__(self):
        super().__init__(prefetch=0 if options.mode == "send" else 1000)
        self.started = self.finished = 0
        self.begun = 0.0

    def on_start(self, event):
        domain = None
        if options.ca:
            domain = SSLDomain(SSLDomain.MODE_CLIENT)
            domain.set_trusted_ca_db(options.ca)
            domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
        url = f"{'amqps' if options.ca else 'amqp'}://localhost:{options.port}"
        connection = event.container.connect(url, ssl_domain=domain, allowed_mechs="ANONYMOUS", reconnect=False)
        if options.mode == "send":
            event.container.create_sender(connection, "q0")
        else:
            event.container.create_receiver(connection, "q0")

    def on_sendable(self, event):
        self.begun = self.begun or time.perf_counter()
        while event.sender.credit and self.started < options.count:
            event.sender.send(Message(body=BODY, inferred=True))
            self.started += 1

    def on_accepted(self, event):
        self.count(event)

    def on_message(self, event):
        self.begun = self.begun or time.perf_counter()
        if len(event.message.body) != options.size:
            raise SystemExit("a body of the wrong size")
        self.count(event)

    def count(self, event):
        self.finished += 1
        if self.finished == options.count:
            print(json.dumps({"rate": options.count / (time.perf_counter() - self.begun)}))
            event.connection.close()


Container(Work()).run()
