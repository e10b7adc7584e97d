"""What lets objects with slots be pickled and copied, compiled or not. Imports nothing of ours."""

from __future__ import annotations

import copyreg
from typing import Any, ClassVar


class Portable:
    """Base of what applications pickle, copy, subclass and set attributes on. `_fields` names a class's slots."""

    __slots__ = ("__dict__", "__weakref__")

    _fields: ClassVar[tuple[str, ...]] = ()

    def __getstate__(self) -> dict[str, Any]:
        state = {name: getattr(self, name) for name in self._fields}
        state.update(vars(self))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return copyreg.__newobj__, (type(self),), self.__getstate__()  # type: ignore[attr-defined]
