"""Special methods of compiled classes as they appear in the source.

For `inspect.signature`, `help()`, `unittest.mock` and tools that build documentation: a special method of an extension
type is a C slot, without names, defaults or annotations. Classes that aren't compiled stay unchanged.
"""

from __future__ import annotations
import __future__

import ast
import functools
import inspect
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, MethodType, WrapperDescriptorType
from typing import Any

# Earlier versions ignore the `__init__` of a class that has a `__new__`, as every extension type has.
_FINDS_INIT = sys.version_info >= (3, 11, 4)


class Slot:
    """Calls the wrapper of a C slot, quickly, because Python does this for every subclass in an application."""

    __slots__ = ("wrapper",)

    def __init__(self, wrapper: Any) -> None:
        self.wrapper = wrapper

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the wrapper."""
        return self.wrapper(*args, **kwargs)


class SpecialMethod(Slot):
    """Replaces the wrapper of a C slot in a class; `__wrapped__` is the method in the source.

    Python continues to use the slot itself. The source, which is installed beside the compiled module, is read on the
    first access to the signature or the docstring; if it is missing, they are those of the wrapper.
    """

    def __init__(self, wrapper: Any, home: dict[str, Any]) -> None:
        super().__init__(wrapper)
        self.__name__: str = wrapper.__name__
        self.__qualname__: str = wrapper.__qualname__
        self.__objclass__: type = wrapper.__objclass__
        self.__module__ = home["__name__"]
        self._home = home

    @functools.cached_property
    def __wrapped__(self) -> Callable[..., Any]:
        written: Callable[..., Any] = _written(self.__objclass__, self.__name__, self._home) or self.wrapper
        return written

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return self.__wrapped__.__doc__


class ConstructorSignature:
    """The `__signature__` of a class and of the classes that inherit its constructor."""

    def __get__(self, instance: Any, owner: type) -> inspect.Signature:
        init = owner.__init__  # type: ignore[misc]
        if instance is not None or isinstance(owner.__new__, FunctionType) or not isinstance(init, SpecialMethod):
            raise AttributeError("__signature__")
        return inspect.signature(MethodType(init, owner))


def present(namespace: dict[str, Any]) -> None:
    """Add signatures to the special methods of the compiled classes in a module's namespace."""
    for kind in list(namespace.values()):
        if isinstance(kind, type) and kind.__module__.startswith("uamqp."):
            _present_class(kind)


def _present_class(kind: type) -> None:
    members = list(vars(kind).items())
    # A class may name the module in which it is public as its own; its methods know where it is defined.
    homes = [value.__globals__ for name, value in members if isinstance(value, FunctionType) and value.__name__ == name]
    for name, value in members:
        # A Python class may have another class's wrapper: `__repr__ = int.__repr__`.
        if isinstance(value, WrapperDescriptorType) and value.__objclass__ is kind:
            setattr(kind, name, SpecialMethod(value, homes[0] if homes else vars(sys.modules[kind.__module__])))
            if name == "__init__" and not _FINDS_INIT:
                setattr(kind, "__signature__", ConstructorSignature())  # noqa: B010 (this `setattr` isn't Python's)


def _written(kind: type, name: str, home: dict[str, Any]) -> Callable[..., Any] | None:
    """Return a method of a class made from its source; None if it isn't defined there, or there is no source.

    Args:
        kind: the class.
        name: the method's name.
        home: the namespace of the module in which the class is defined.
    """
    file = Path(home["__file__"]).with_name(f"{home['__name__'].rpartition('.')[2]}.py")
    try:
        tree = ast.parse(file.read_bytes())
    except OSError:
        return None
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__)
    for node in itertools.chain.from_iterable(found.body for found in classes):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            flags = __future__.annotations.compiler_flag
            code = compile(ast.Module([node], []), str(file), "exec", flags, dont_inherit=True)
            names = dict(home)
            exec(code, names)  # noqa: S102 (a `def` of our own, which this defines without calling it)
            function: FunctionType = names[name]
            function.__qualname__ = f"{kind.__qualname__}.{name}"
            return function
    return None
