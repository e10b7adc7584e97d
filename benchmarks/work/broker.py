"""The embedded broker in a process of its own: prints its port, and runs until it is killed."""

import sys
import threading

from uamqp.testing import Broker

certificate = {"tls_cert": sys.argv[1], "tls_key": sys.argv[2]} if len(sys.argv) > 2 else {}
with Broker(**certificate) as broker:
    print(f"ready {broker.port}", flush=True)
    threading.Event().wait()
