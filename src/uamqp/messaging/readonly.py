"""`ReadOnlyDict`: a map of a received message."""

from __future__ import annotations

from typing import Any, NoReturn

from .errors import ReadOnlyMessage


class ReadOnlyDict(dict[Any, Any]):
    """A dict that can't be changed. Copies and pickles of it are ordinary dicts."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise ReadOnlyMessage("a received message can't be changed: message.copy(...) gives one to send")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


NOTHING = ReadOnlyDict()
"""A map of a received message that has none."""
