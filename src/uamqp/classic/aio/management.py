"""`MgmtOperationAsync`: requests of the asyncio front to a management node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..endpoints.management import Answer, MgmtOperation
from ..message import Message
from ..vocabulary.compat import TimeoutException as TimeoutException  # noqa: PLC0414
from .loop import LoopArgument, get_dict_with_loop_if_needed

__all__ = ["MgmtOperationAsync"]

if TYPE_CHECKING:
    from .session import SessionAsync


class MgmtOperationAsync(LoopArgument, MgmtOperation):
    """Requests to one node of a `SessionAsync`. Any number of tasks may make them at the same time.

    Args:
        loop: must be None, as in asyncio since Python 3.10.
        Others: see `MgmtOperation`.
    """

    __module__ = "uamqp.async_ops.mgmt_operation_async"

    def __init__(
        self,
        session: SessionAsync,
        target: str | bytes | None = None,
        debug: bool = False,
        status_code_field: str | bytes = b"statusCode",
        description_fields: Any = b"statusDescription",
        encoding: str = "UTF-8",
        loop: Any = None,
    ) -> None:
        self._internal_kwargs = get_dict_with_loop_if_needed(loop)
        super().__init__(
            session,
            target=target,
            debug=debug,
            status_code_field=status_code_field,
            description_fields=description_fields,
            encoding=encoding,
        )

    async def execute_async(
        self, operation: str | bytes, op_type: str | bytes | None, message: Message, timeout: float | None = 0
    ) -> Answer:
        """Make a request and wait for its answer; see `MgmtOperation.execute`."""
        return await self._do_execute(operation, op_type, message, timeout)

    async def destroy_async(self) -> None:
        """Detach the links. The next request opens new ones."""
        self.destroy()
