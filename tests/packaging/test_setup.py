"""What setup.py decides: where there are extension modules, and what the package index shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest

from tests.support.installing import PROGRAM, ROOT, fresh, run, the_one

SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")

# A stand-in for another interpreter, loaded when Python starts.
OTHER_INTERPRETER = "import platform; platform.python_implementation = lambda: 'PyPy'"


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has what builds and what runs the package."""
    folder = tmp_path_factory.mktemp("builder")
    python = fresh(folder)
    needed = ["setuptools>=77", "Cython>=3.1,<4", "certifi", "websockets>=15"]
    run([python, "-m", "pip", "install", "--disable-pip-version-check", *needed], folder)
    return python


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A clone's files, without what was built there."""
    folder = tmp_path / "sources"
    folder.mkdir()
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "src" / "uamqp", folder / "src" / "uamqp", ignore=shutil.ignore_patterns("*.so", "*.pyd"))
    return folder


def leave_stale(sources: Path) -> list[Path]:
    """Extension modules beside their sources, from times gone by; another Python's as well."""
    stale = [
        sources / "src" / "uamqp" / "codec" / f"decode{SUFFIX}",
        sources / "src" / "uamqp" / "engine" / "gone.cpython-310-x86_64-linux-gnu.so",
        sources / "src" / "uamqp" / "classic" / "message.cp310-win_amd64.pyd",
    ]
    for path in stale:
        path.write_bytes(b"no module")
    return stale


def extension_modules(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix in {".so", ".pyd"}]


def install_editable(builder: Path, sources: Path, **variables: str) -> str:
    options = ("-v", "--no-build-isolation", "--no-deps", "--disable-pip-version-check")
    return run(
        [builder, "-m", "pip", "install", *options, "--editable", sources], sources.parent, check=True, **variables
    )


def build(builder: Path, sources: Path, *, check: bool = True, **variables: str) -> str:
    """Build a wheel as pip does, but without it: pip itself goes by the interpreter's name."""
    program = "import setuptools.build_meta; print(setuptools.build_meta.build_wheel('made'))"
    return run([builder, "-c", program], sources, check=check, **variables)


def wheel_of(builder: Path, sources: Path, **variables: str) -> Path:
    build(builder, sources, check=True, **variables)
    (wheel,) = (sources / "made").iterdir()
    return wheel


def suffixes(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {Path(name).suffix for name in archive.namelist() if name.startswith("uamqp/")}


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_string(archive.read(name).decode())


@pytest.fixture
def on_pypy(tmp_path: Path) -> str:
    """A path that makes Python take itself for PyPy."""
    folder = tmp_path / "stand-in"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(OTHER_INTERPRETER)
    return str(folder)


def test_other_interpreters_get_the_pure_package_though_there_is_a_compiler(
    builder: Path, sources: Path, on_pypy: str
) -> None:
    wheel = wheel_of(builder, sources, PYTHONPATH=on_pypy)
    assert wheel.name.endswith("-py3-none-any.whl")
    assert suffixes(wheel) == {".py", ".pxd", ".typed"}


def test_what_is_required_and_cant_be_is_an_error_there(builder: Path, sources: Path, on_pypy: str) -> None:
    output = build(builder, sources, check=False, PYTHONPATH=on_pypy, REQUIRE_CYTHON="1")
    assert "exit status 0" not in output
    assert "REQUIRE_CYTHON is set, but this is PyPy" in output


PYPY = shutil.which("pypy3")


@pytest.mark.skipif(PYPY is None, reason="there is no pypy3")
def test_pypy_runs_what_is_installed(tmp_path: Path) -> None:
    version = [str(PYPY), "-c", "import sys; print(sys.version_info >= (3, 10))"]
    if subprocess.run(version, capture_output=True, text=True, check=True).stdout.strip() != "True":
        pytest.skip("this pypy3 is older than Python 3.10")
    python = tmp_path / "venv" / "bin" / "python"
    run([str(PYPY), "-m", "venv", "--without-pip", tmp_path / "venv"], tmp_path)
    run([sys.executable, "-m", "pip", "--python", python, "install", the_one("uamqp-*.tar.gz")], tmp_path)
    assert run([python, "-c", PROGRAM], tmp_path).split()[0] == "False"


@pytest.mark.parametrize("variables", [{}, {"SKIP_CYTHON": "1"}], ids=["by default", "SKIP_CYTHON"])
def test_an_editable_install_runs_the_sources(variables: dict[str, str], builder: Path, sources: Path) -> None:
    stale = leave_stale(sources)
    output = install_editable(builder, sources, **variables)
    assert extension_modules(sources) == []
    for path in stale:
        assert f"removed, for it hides the source of its module: {path.relative_to(sources)}" in output
    assert run([builder, "-c", PROGRAM], sources.parent).split()[0] == "False"
    module = sources / "src" / "uamqp" / "codec" / "decode.py"
    module.write_text(module.read_text() + "\nprint('changed')\n")
    assert run([builder, "-c", "import uamqp.codec"], sources.parent).startswith("changed")


def compile_only(sources: Path, name: str) -> None:
    """Leave one compiled module, for the sake of time."""
    setup = sources / "setup.py"
    modules = re.compile(r"^COMPILED = \(.*?^\)", re.DOTALL | re.MULTILINE)
    text, count = modules.subn(f'COMPILED = ("{name}",)', setup.read_text())
    assert count == 1
    setup.write_text(text)


def test_an_editable_install_is_compiled_where_that_is_required(builder: Path, sources: Path) -> None:
    compile_only(sources, "uamqp.engine.serial")
    install_editable(builder, sources, REQUIRE_CYTHON="1")
    module = sources / "src" / "uamqp" / "engine" / f"serial{SUFFIX}"
    assert extension_modules(sources) == [module]
    where = "import uamqp.engine.serial as module; print(module.__file__)"
    assert run([builder, "-c", where], sources.parent).startswith(str(module))


def test_that_cython_makes_a_dict_in_other_words_is_noticed(builder: Path, sources: Path) -> None:
    """What takes it out of the C would do nothing then, and every message would cost a dictionary more."""
    compile_only(sources, "uamqp.classic.values.portable")
    build(builder, sources, REQUIRE_CYTHON="1")
    build(builder, sources, REQUIRE_CYTHON="1")  # over the C of the first
    shutil.rmtree(sources / "build")
    setup = sources / "setup.py"
    setup.write_text(setup.read_text().replace('EAGER = "p->', 'EAGER = "object->'))
    fault = "1 classes have a __dict__, and Cython's C makes one in 0 places"
    output = build(builder, sources, check=False, REQUIRE_CYTHON="1")
    assert "exit status 0" not in output
    assert f"RuntimeError: {Path('src/uamqp/classic/values/portable.pxd')}: {fault}" in output
    output = build(builder, sources)  # where it isn't required it is told, and compiled all the same
    assert f"warning: {Path('src/uamqp/classic/values/portable.pxd')}: {fault}" in output
    assert [path for path in extension_modules(sources / "build") if "portable" in path.name]


def test_what_stands_beside_the_sources_isnt_packed(builder: Path, sources: Path) -> None:
    leave_stale(sources)
    assert suffixes(wheel_of(builder, sources, SKIP_CYTHON="1")) == {".py", ".pxd", ".typed"}


def links(description: str) -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", description)


@pytest.mark.parametrize("pattern", ["uamqp-*-cp*.whl", "uamqp-*-py3-none-any.whl"])
def test_the_index_shows_no_link_that_leads_nowhere(pattern: str) -> None:
    shown = metadata(the_one(pattern))
    assert shown["Description-Content-Type"] == "text/markdown"
    description = shown.get_payload()
    assert isinstance(description, str)
    assert description.startswith("# uamqp\n")
    assert "docs/migration.md" in description
    assert [link for link in links(description) if not link.startswith("https://")] == []
    urls = dict(line.split(", ") for line in shown.get_all("Project-URL", []))
    assert urls
    assert all(url.startswith("https://") for url in urls.values())


def test_links_of_the_readme_lead_to_the_repository_once_it_has_an_address(builder: Path, sources: Path) -> None:
    project = sources / "pyproject.toml"
    text = re.sub(r"^Source = .*\n", "", project.read_text("utf-8"), flags=re.MULTILINE)
    source = "https://code.example/team/uamqp"
    project.write_text(text.replace("[project.urls]\n", f'[project.urls]\nSource = "{source}/"\n'), "utf-8")
    (sources / "README.md").write_text(
        "# Title\n[a](docs/a.md#part), ![a picture](docs/a.svg), [the web](https://x.example/y), [a part](#part)\n"
        "[mail](mailto:someone@x.example) `values[0](1)`\n```\ncall[0](2)\n```\n"
    )
    shown = metadata(wheel_of(builder, sources, SKIP_CYTHON="1"))
    assert f"Source, {source}/" in shown.get_all("Project-URL", [])
    assert shown.get_payload() == (
        f"# Title\n[a]({source}/blob/HEAD/docs/a.md#part), ![a picture]({source}/raw/HEAD/docs/a.svg), "
        "[the web](https://x.example/y), [a part](#part)\n[mail](mailto:someone@x.example) `values[0](1)`\n"
        "```\ncall[0](2)\n```\n"
    )


def test_the_source_distribution_has_what_the_readme_names(tmp_path: Path) -> None:
    shutil.unpack_archive(the_one("uamqp-*.tar.gz"), tmp_path)
    (unpacked,) = tmp_path.iterdir()
    readme = (unpacked / "README.md").read_text("utf-8")
    named = [link for link in links(readme) if "://" not in link]
    assert named
    assert [link for link in named if not (unpacked / link).exists()] == []


MOST_PACKED, MOST_INSTALLED = 3_800_000, 9_500_000  # of two APIs


def test_the_compiled_wheel_is_small() -> None:
    wheel = the_one("uamqp-*-cp*.whl")
    with zipfile.ZipFile(wheel) as archive:
        installed = sum(entry.file_size for entry in archive.infolist())
        modules = [archive.read(name) for name in archive.namelist() if Path(name).suffix == ".so"]
    assert wheel.stat().st_size < MOST_PACKED
    assert installed < MOST_INSTALLED
    assert os.name == "nt" or modules
    assert not any(b".debug_info" in module for module in modules)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('ATTRIBUTES = "static', "this version of Cython words the type of its functions otherwise"),
        ("= DefNode.as_cfunction", "leaves the return annotations of cpdef functions out"),
    ],
)
def test_that_cython_makes_functions_in_another_way_is_noticed(
    line: str, fault: str, builder: Path, sources: Path
) -> None:
    """Signatures would differ between the builds."""
    setup = sources / "setup.py"
    modules = re.compile(r"^COMPILED = \(.*?^\)", re.DOTALL | re.MULTILINE)
    text = modules.sub('COMPILED = ("uamqp.engine.fifo",)', setup.read_text())
    assert text.count(line) == 1
    setup.write_text(text.replace(line, line.replace("static", "changed").replace("as_cfunction", "changed")))
    output = build(builder, sources, check=False, REQUIRE_CYTHON="1")
    assert "exit status 0" not in output
    assert "RuntimeError: " in output
    assert fault in output
    output = build(builder, sources)  # where it isn't required it is told, and compiled all the same
    assert "warning: " in output
    assert fault in output
    assert [path for path in extension_modules(sources / "build") if "fifo" in path.name]
