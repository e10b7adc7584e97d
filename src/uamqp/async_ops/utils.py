"""The running loop. A door: the code is in `uamqp.classic.aio.loop`."""

from ..classic.aio.loop import get_dict_with_loop_if_needed, get_running_loop

__all__ = ["get_dict_with_loop_if_needed", "get_running_loop"]
