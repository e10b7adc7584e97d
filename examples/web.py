"""A web application that sends what it is given to a queue: FastAPI, with one connection for all requests.

    pip install 'uamqp[examples]'
    python examples/web.py amqp://localhost orders
    curl -i localhost:8000/orders -H 'Content-Type: application/json' -d '{"customer": "c-7", "amount": 12.5}'

The connection and the sender are opened as the application starts and closed as it ends (its lifespan); requests share
them. A request is answered once the broker has the order. ADDRESS is the broker's address of the queue: /queues/orders
for RabbitMQ 4, orders for ActiveMQ and Artemis. A user and a password go into the URL: amqp://user:password@host.
"""

from __future__ import annotations

import argparse
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, Field

from uamqp.aio import AMQPError, Message, NotAccepted, OutcomeUnknown, Sender, connect

TIMEOUT = 5.0
"""Seconds that a client waits for the broker at most."""


class Order(BaseModel):
    """What a client orders."""

    customer: str
    amount: float = Field(gt=0)


class Receipt(BaseModel):
    """What a client gets for it: by the id, an order that was sent twice can be found."""

    id: str


def sender_of(request: Request) -> Sender:
    """Return the application's sender."""
    sender: Sender = request.app.state.sender
    return sender


def make_app(url: str, address: str) -> FastAPI:
    """Return the application.

    Args:
        url: the broker's.
        address: of the queue that gets the orders.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with connect(url) as connection, connection.open_sender(address, send_timeout=TIMEOUT) as sender:
            app.state.connection = connection
            app.state.sender = sender
            yield

    app = FastAPI(title="Orders", lifespan=lifespan)

    @app.post("/orders", status_code=201)
    async def place(order: Order, sender: Annotated[Sender, Depends(sender_of)]) -> Receipt:
        receipt = Receipt(id=str(uuid.uuid4()))
        try:
            await sender.send(Message.of_json(order.model_dump(), message_id=receipt.id, subject="order"))
        except NotAccepted as error:  # the broker said no, for now or for good
            raise HTTPException(503 if error.is_temporary else 422, str(error)) from error
        except OutcomeUnknown as error:  # it may have it: the client has to ask, by the id, or live with a second one
            raise HTTPException(504, {"id": receipt.id, "message": str(error)}) from error
        except AMQPError as error:  # it certainly hasn't, as there is no time or no connection left
            raise HTTPException(503, str(error)) from error
        return receipt

    @app.get("/health")
    async def health(sender: Annotated[Sender, Depends(sender_of)]) -> dict[str, int]:
        if sender.state != "open":
            raise HTTPException(503, f"the sender is {sender.state}")
        return {"pending": sender.pending}

    return app


def main() -> None:
    """Parse the arguments, and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="the broker's: amqp://host:port, amqps:// for TLS")
    parser.add_argument("address", help="of the queue")
    parser.add_argument("--port", type=int, default=8000, help="to listen on, at localhost (default: %(default)s)")
    options = parser.parse_args()

    uvicorn.run(make_app(options.url, options.address), port=options.port)


if __name__ == "__main__":
    main()
