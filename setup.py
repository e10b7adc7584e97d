"""Builds the compiled half of uamqp, and what the index shows: all else about the package stands in pyproject.toml.

The modules in `COMPILED` are compiled by Cython from the same .py files that run without it, with the C types of the
.pxd file beside each (docs/design.md, Compiled mode), for CPython: the C is written for its way of keeping objects, and
what compiles for another interpreter can't be imported there. Environment variables:

    SKIP_CYTHON=1     build the pure package, without looking for a compiler.
    REQUIRE_CYTHON=1  fail if anything can't be compiled. By default the failure is told, and the pure package is built.
                      An editable install is compiled only with this: extension modules in the sources' folder are
                      imported in place of the sources, so that a change of those would change nothing.
"""

from __future__ import annotations

import ast
import multiprocessing
import os
import platform
import re
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.editable_wheel import editable_wheel

#: The compiled modules, all or none of them. Each has a .pxd file beside it.
COMPILED = (
    "uamqp.classic.client.receiving",
    "uamqp.classic.client.sending",
    "uamqp.classic.message.bodies",
    "uamqp.classic.message.message",
    "uamqp.classic.values.portable",
    "uamqp.classic.endpoints.receiving",
    "uamqp.classic.message.sections",
    "uamqp.codec.decode",
    "uamqp.codec.encode",
    "uamqp.codec.message",
    "uamqp.codec.sections",
    "uamqp.codec.signatures",
    "uamqp.core.connection",
    "uamqp.core.incoming",
    "uamqp.core.link",
    "uamqp.core.outbox",
    "uamqp.core.outgoing",
    "uamqp.engine.connection",
    "uamqp.engine.delivery",
    "uamqp.engine.fifo",
    "uamqp.engine.frames",
    "uamqp.engine.input",
    "uamqp.engine.link",
    "uamqp.engine.pieces",
    "uamqp.engine.receiver",
    "uamqp.engine.sender",
    "uamqp.engine.serial",
    "uamqp.engine.session",
    "uamqp.engine.settlement",
    "uamqp.engine.timers",
    "uamqp.messaging.assembly",
    "uamqp.messaging.bodies",
    "uamqp.messaging.delivery",
    "uamqp.messaging.fields",
    "uamqp.messaging.inbox",
    "uamqp.messaging.many",
    "uamqp.messaging.message",
    "uamqp.messaging.outbox",
    "uamqp.transport.asyncio.steps",
    "uamqp.transport.guard",
    "uamqp.transport.steps",
)

#: Modules whose objects come and go with every message. Of each class so many that are done with are kept, and used
#: again: the garbage collector, which runs when many objects were made, isn't set off by them.
RECYCLING = (
    "uamqp.classic.message.message",
    "uamqp.classic.message.sections",
    "uamqp.core.outbox",
    "uamqp.engine.delivery",
    "uamqp.messaging.delivery",
    "uamqp.messaging.message",
)
SPARES = 16384

#: Cython makes the `__dict__` of an object together with the object: for the garbage collector a second one to count,
#: and to the application mostly of no use.
EAGER = "p->__dict__ = PyDict_New(); if (unlikely(!p->__dict__)) goto bad;"
LAZY = "p->__dict__ = NULL;"

#: Packages made by the same Cython share the type of its functions, by this name. Ours has one attribute more, and so a
#: name of its own.
SHARED = '#define __PYX_ABI_MODULE_NAME "_cython_" CYTHON_ABI\n'
OURS = '#define __PYX_ABI_MODULE_NAME "_cython_uamqp_" CYTHON_ABI\n'
ATTRIBUTES = "static PyGetSetDef __pyx_CyFunction_getsets[] = {\n"
CLASS = """\
static PyObject *uamqp_function_class(PyObject *function, void *context) {
    (void)function;
    (void)context;
    Py_INCREF((PyObject *)&PyFunction_Type);
    return (PyObject *)&PyFunction_Type;
}
"""
CLASS_ATTRIBUTE = '    {"__class__", uamqp_function_class, 0, 0, 0},\n'

DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,  # an annotation is for people and mypy; what is a C type stands in the .pxd
    "embedsignature": False,
    "nonecheck": True,  # an attribute of None is an AttributeError, as in Python, and no crash
    "auto_pickle": False,  # what Cython writes for that crashes when it is given anything but its own
}


def wanted(name: str) -> bool:
    """Tell whether an environment variable is set to something that means yes."""
    return os.environ.get(name, "").strip().lower() not in ("", "0", "no", "false")


class BuildCompiled(build_ext):
    """Translates and compiles all modules or, unless `REQUIRE_CYTHON` forbids it, leaves the package pure."""

    def run(self) -> None:
        """Build the extensions."""
        try:
            self._build()
        except Exception as error:
            if wanted("REQUIRE_CYTHON"):
                raise
            print(f"warning: uamqp can't be compiled here and is installed as plain Python: {error!r}", file=sys.stderr)
            self._remove_what_was_built()
            self.extensions = []

    def _build(self) -> None:
        from Cython.Build import cythonize  # only here: the pure build needs no Cython
        from Cython.Compiler.Options import get_directive_defaults

        jobs = self.parallel or os.cpu_count() or 1
        if multiprocessing.get_start_method() != "fork":
            jobs = 0  # in this process: another wouldn't have what is set below
        # Cython knows this directive as a decorator in the source only, which plain Python would have to know too.
        get_directive_defaults()["freelist"] = 0
        keep_return_annotations()
        folder = str(Path(self.build_temp) / "c")
        translated = []
        for recycles in (False, True):
            chosen = [extension for extension in self.extensions if (extension.name in RECYCLING) is recycles]
            directives = {**DIRECTIVES, "freelist": SPARES if recycles else 0}
            translated += cythonize(chosen, build_dir=folder, compiler_directives=directives, nthreads=jobs)
        self.extensions = translated
        for extension in self.extensions:
            extension._needs_stub = False  # as setuptools sets it for the extensions that it knows of
            source = Path(extension.sources[0])
            leave_out_dictionaries(source, declarations(extension.name))
            call_functions_functions(source)
            name_doors(source, extension.name)
        self.parallel = jobs
        super().run()

    def build_extensions(self) -> None:
        """Compile without debugging information and symbols, most of a file, unless `CFLAGS` says something of them."""
        asked = any(flag.startswith("-g") for flag in os.environ.get("CFLAGS", "").split())
        if self.compiler.compiler_type != "msvc" and not asked:
            for extension in self.extensions:
                extension.extra_compile_args.append("-g0")  # Python's own flags, which come first, have -g
                if sys.platform == "linux":
                    extension.extra_link_args.append("-Wl,--strip-all")
        super().build_extensions()

    def _remove_what_was_built(self) -> None:
        for name in COMPILED:
            Path(self.get_ext_fullpath(name)).unlink(missing_ok=True)


class InstallEditable(editable_wheel):
    """Installs the sources as they are, without the extension modules beside them that an earlier install has left."""

    def run(self) -> None:
        """Build the wheel that leads to the sources."""
        if not wanted("REQUIRE_CYTHON"):
            self.distribution.ext_modules = []
            for pattern in ("*.so", "*.pyd"):
                for path in Path("src/uamqp").rglob(pattern):
                    print(f"removed, for it hides the source of its module: {path}", file=sys.stderr)
                    path.unlink()
        super().run()


def complain(fault: str) -> None:
    """Tell that the compiled package will work, but costs more, or shows itself otherwise than the pure one.

    Raises:
        RuntimeError: `REQUIRE_CYTHON` is set.
    """
    if wanted("REQUIRE_CYTHON"):
        raise RuntimeError(fault)
    print(f"warning: {fault}", file=sys.stderr)


def keep_return_annotations() -> None:
    """Have Cython keep what a `cpdef` function is annotated to return, as it does with a `def` function."""
    from Cython.Compiler.Nodes import CFuncDefNode, DefNode

    try:
        as_cfunction, declare_wrapper = DefNode.as_cfunction, CFuncDefNode.declare_cpdef_wrapper
    except AttributeError as error:
        complain(f"this version of Cython leaves the return annotations of cpdef functions out: {error}")
        return

    def as_annotated_cfunction(self, *args, **kwargs):
        function = as_cfunction(self, *args, **kwargs)
        function.written_annotation = self.return_type_annotation
        return function

    def declare_annotated_wrapper(self, env):
        declare_wrapper(self, env)
        if self.overridable:
            self.py_func.return_type_annotation = self.written_annotation

    DefNode.as_cfunction, CFuncDefNode.declare_cpdef_wrapper = as_annotated_cfunction, declare_annotated_wrapper


def declarations(name: str) -> Path:
    """Return the .pxd file of a compiled module."""
    return Path("src", *name.split(".")).with_suffix(".pxd")


def leave_out_dictionaries(source: Path, module: Path) -> None:
    """Have objects made without their `__dict__`, in C that Cython made: Python makes one when it is first used.

    Args:
        source: the C.
        module: the module's .pxd file, which says how many classes have a `__dict__` of their own.

    Complains where there aren't as many places to change as such classes: the objects cost more then, and nothing else
    is wrong.
    """
    text = source.read_text(encoding="utf-8")
    classes = len(re.findall(r"^ +cdef dict __dict__$", module.read_text(encoding="utf-8"), re.MULTILINE))
    places = text.count(EAGER) + text.count(LAZY)  # these an earlier build has changed
    if places != classes:
        complain(
            f"{module}: {classes} classes have a __dict__, and Cython's C makes one in {places} places: this "
            "version of Cython words it otherwise, so EAGER in setup.py has to follow it"
        )
    if EAGER in text:  # what is written anew would be compiled anew
        source.write_text(text.replace(EAGER, LAZY), encoding="utf-8")


def call_functions_functions(source: Path) -> None:
    """Have compiled functions say that they are functions, in C that Cython made.

    `inspect`, `unittest.mock` and what builds documentation ask for that (`isinstance(it, types.FunctionType)`), and
    treat what isn't one in another way: a mock of it takes any arguments.
    """
    text = source.read_text(encoding="utf-8")
    if "__Pyx_CyFunction_New(" not in text or CLASS in text:  # what is written anew would be compiled anew
        return
    if text.count(SHARED) != 1 or text.count(ATTRIBUTES) != 1:
        complain(f"{source}: this version of Cython words the type of its functions otherwise: SHARED, ATTRIBUTES")
        return
    text = text.replace(SHARED, OURS).replace(ATTRIBUTES, CLASS + ATTRIBUTES + CLASS_ATTRIBUTE)
    source.write_text(text, encoding="utf-8")


def name_doors(source: Path, module: str) -> None:
    """Have compiled classes say that they are of the module in which they are public, in C that Cython made.

    Python takes a compiled class's `__module__` from its name in C, and not from the class's body, where plain Python
    finds it.

    Raises:
        ValueError: Cython has written the name in another way than this expects.
    """
    text = source.read_text(encoding="utf-8")
    named = text
    for name, door in doors(Path("src", *module.split(".")).with_suffix(".py")).items():
        for before in (f'"{module}.""{name}"', f'"{module}.{name}"'):
            named = named.replace(before, f'"{door}.{name}"')
        if f'"{door}.{name}", /*tp_name*/' not in named:
            raise ValueError(f"{source}: the name of the class {name} isn't where it was expected")
    if named != text:  # what is written anew would be compiled anew
        source.write_text(named, encoding="utf-8")


def doors(source: Path) -> dict[str, str]:
    """Return the classes of a module that are public in another one: their names, and that module's."""
    return {
        kind.name: statement.value.value
        for kind in ast.parse(source.read_text(encoding="utf-8")).body
        if isinstance(kind, ast.ClassDef)
        for statement in kind.body
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and statement.targets[0].id == "__module__"
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    }


def extensions() -> list[Extension]:
    """Return the modules to compile."""
    if wanted("SKIP_CYTHON"):
        if wanted("REQUIRE_CYTHON"):
            raise SystemExit("SKIP_CYTHON and REQUIRE_CYTHON are both set: which is it to be?")
        return []
    interpreter = platform.python_implementation()
    if interpreter != "CPython":
        if wanted("REQUIRE_CYTHON"):
            raise SystemExit(
                f"REQUIRE_CYTHON is set, but this is {interpreter}, and only CPython imports what is compiled"
            )
        return []
    return [Extension(name, [f"src/{name.replace('.', '/')}.py"]) for name in COMPILED]


def readme() -> str:
    """Return README.md as the package index shows it, where no files are beside it that a relative link could lead to.

    Links lead to the repository's address on the web, `Source` in [project.urls]; without one their text stays alone.
    """
    source = re.search(r'^Source = "(.+?)/?"$', Path("pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)

    def absolute(link: re.Match[str]) -> str:
        image, text, target = link.groups()
        if target is None:
            return link[0]
        if source is None:
            return "" if image else text
        return f"{image}[{text}]({source[1]}/{'raw' if image else 'blob'}/HEAD/{target})"

    code_or_relative = r"(?s:```.*?```)|`[^`\n]+`|(!?)\[([^]]*)\]\((?![a-z]+:|#)([^)]+)\)"
    return re.sub(code_or_relative, absolute, Path("README.md").read_text(encoding="utf-8"))


setup(
    ext_modules=extensions(),
    long_description=readme(),
    long_description_content_type="text/markdown",
    cmdclass={"build_ext": BuildCompiled, "editable_wheel": InstallEditable},
)
