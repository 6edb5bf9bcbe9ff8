"""What people install: sdist, wheel and editable hold the same, and nothing else.

Everything is built and installed from what is on this machine; the dependencies are those of the
environment that runs the tests.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.packaging

ROOT = Path(__file__).resolve().parents[1]
PLACES = {"src/molehunt": "", "rules": "rules", "detectors": "detectors", "backends": "backends"}
SUFFIXES = {
    *(".conf", ".css", ".jinja", ".js", ".json", ".lock", ".py", ".pyi", ".so", ".typed", ".yml")
}
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "build", "dist")
JUNK = (
    "rules/x.yml.orig",
    "rules/.DS_Store",
    "detectors/x.pyc",
    "backends/x~",
    "src/molehunt/x.swp",
)


@dataclass(frozen=True, slots=True)
class Distribution:
    """One source tree and what was built from it."""

    source: Path
    sdist: Path
    wheel: Path


# A namespace package that all of pySigma's plugins share: nothing else of it is ours.
PLUGIN = "sigma/backends/molehunt/__init__.py"


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a program to its end and return what it printed; fail with all of it if it failed."""
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=outside | {"PIP_NO_INDEX": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def copy_of_checkout(folder: Path) -> Path:
    """What a clone would hold, and .gitignore, which decides what is shipped."""
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    shutil.copy(ROOT / ".gitignore", folder)
    return folder


def build(kind: str, source: Path, folder: Path) -> Path:
    """Build without isolation, so that nothing is downloaded."""
    command = (sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", folder)
    run(*command, source, cwd=folder.parent, SOURCE_DATE_EPOCH="1767225600")
    return next(folder.glob("*.whl" if kind == "wheel" else "*.tar.gz"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    """Built from a checkout in which editors and Python have left their junk."""
    folder = tmp_path_factory.mktemp("built")
    source = copy_of_checkout(folder / "source")
    for name in JUNK:
        (source / name).write_text("junk", encoding="utf-8")
    cache = source / "detectors" / "__pycache__"
    cache.mkdir()
    (cache / "x.cpython-311.pyc").write_bytes(b"junk")
    out = folder / "dist"
    return Distribution(source, build("sdist", source, out), build("wheel", source, out))


@pytest.fixture(scope="module")
def rebuilt(built: Distribution, tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    """Built from the unpacked sdist, elsewhere."""
    folder = tmp_path_factory.mktemp("rebuilt")
    with tarfile.open(built.sdist) as archive:
        archive.extractall(folder, filter="data")
    source = next(folder.iterdir())
    out = folder / "dist"
    return Distribution(source, build("sdist", source, out), build("wheel", source, out))


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with molehunt in it, and a directory from which no checkout is in sight."""

    python: Path
    elsewhere: Path

    def __call__(self, *arguments: str) -> str:
        """What its Python prints."""
        return run(self.python, *arguments, cwd=self.elsewhere)


def install(folder: Path, *what: str | Path) -> Installed:
    """Install into a new environment that sees this one's dependencies."""
    home, elsewhere = folder / "venv", folder / "elsewhere"
    elsewhere.mkdir(parents=True)
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=folder)
    python = home / "bin" / "python"
    # A .pth file, since .pth files that lie in its target are not read: so the editable
    # installation of the environment that runs the tests stays out of sight.
    site = next((home / "lib").glob("python3.*")) / "site-packages"
    (site / "zz_dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    options = ("--no-deps", "--no-build-isolation", "--no-compile", "--ignore-installed")
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    run(*pip, *options, *what, cwd=folder)
    return Installed(python, elsewhere)


@pytest.fixture(scope="module", params=["wheel", "wheel from sdist", "editable"])
def installed(
    request: pytest.FixtureRequest,
    built: Distribution,
    rebuilt: Distribution,
    tmp_path_factory: pytest.TempPathFactory,
) -> Installed:
    """Each of the three ways to install."""
    folder = tmp_path_factory.mktemp("installed")
    if request.param == "editable":
        return install(folder, "--editable", copy_of_checkout(folder / "source"))
    return install(folder, built.wheel if request.param == "wheel" else rebuilt.wheel)


def test_the_wheel_holds_each_file_once_and_no_junk(built: Distribution) -> None:
    """The four source folders end up below `molehunt`, whole; beside it there are only metadata and
    what pySigma looks for."""
    expected = {
        "/".join(filter(None, ("molehunt", place, path.relative_to(ROOT / folder).as_posix())))
        for folder, place in PLACES.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in SUFFIXES
    } | {PLUGIN}
    with ZipFile(built.wheel) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
    assert sorted(names) == sorted(expected)
    assert {"molehunt/py.typed", "molehunt/rules/data/osquery_schema.json"} < expected


def test_nothing_below_src_is_forgotten() -> None:
    """A second package below src would have to be named in pyproject.toml as well."""
    packages = {path.name for path in (ROOT / "src").iterdir() if not path.name.startswith(".")}
    assert packages == {"molehunt", "sigma"}
    plugin = list((ROOT / "src" / "sigma").rglob("*.py"))
    assert [path.relative_to(ROOT / "src").as_posix() for path in plugin] == [PLUGIN]


def test_the_sdist_can_be_worked_with(built: Distribution) -> None:
    """It has the sources, the tests with their recordings, and the papers; no junk."""
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    recordings = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests" / "recordings").rglob("*")
        if path.is_file()
    }
    papers = {"LICENSE", "NOTICE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile"}
    assert recordings | papers | {"tests/conftest.py", "pyproject.toml", ".gitignore"} <= names
    assert not {name for name in names if name in JUNK or "__pycache__" in name}


def test_builds_are_reproducible(built: Distribution, rebuilt: Distribution) -> None:
    """Another place and other file times give the same bytes, from a checkout or from an sdist."""
    assert rebuilt.wheel.read_bytes() == built.wheel.read_bytes()
    assert rebuilt.sdist.read_bytes() == built.sdist.read_bytes()


@pytest.mark.parametrize("without", [{"CC": "false"}, {"MOLEHUNT_NATIVE": "0"}])
def test_without_a_compiler_it_is_built_all_the_same(
    without: dict[str, str], built: Distribution, tmp_path: Path
) -> None:
    """Only the part in C is missing then, and the wheel is for every system."""
    command = (sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path)
    run(*command, built.source, cwd=tmp_path, **without)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    with ZipFile(wheel) as pure, ZipFile(built.wheel) as whole:
        missing = set(whole.namelist()) - set(pure.namelist())
    assert missing == {"molehunt/detectors/native/_judge.abi3.so"}


def test_metadata_names_the_licence(built: Distribution) -> None:
    """The licence and the notice travel with the wheel, as the licence of the data asks."""
    with ZipFile(built.wheel) as wheel:
        info = {n.partition(".dist-info/")[2]: n for n in wheel.namelist() if ".dist-info/" in n}
        metadata = wheel.read(info["METADATA"]).decode()
        notice = wheel.read(info["licenses/NOTICE"]).decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert "licenses/LICENSE" in info
    assert "The osquery authors" in notice
    assert "distributed with the permission of\n  The MITRE Corporation" in notice


def test_there_is_one_import_name(installed: Installed) -> None:
    """Everything is imported below `molehunt`; no other top-level name appears."""
    found = installed(
        "-c",
        "import json, molehunt.detectors.records, molehunt.backends\n"
        "from importlib.util import find_spec\n"
        "names = ('detectors', 'backends', 'rules', 'tests', 'src', 'kit')\n"
        "print(json.dumps([name for name in names if find_spec(name)]))",
    )
    assert json.loads(found) == []


def test_pysigma_finds_the_backend(installed: Installed) -> None:
    """`sigma list targets` looks in the namespace package, wherever that was installed."""
    found = installed(
        "-c",
        "from sigma.plugins import InstalledSigmaPlugins\n"
        "print(InstalledSigmaPlugins.autodiscover().backends['osquery'].__module__)",
    )
    assert found.strip() == "molehunt.backends.osquery.pysigma"


def test_the_code_comes_from_the_installation(installed: Installed) -> None:
    """The other tests here look at what was installed and not at this checkout."""
    place = installed("-c", "import molehunt.detectors as found; print(found.__file__)")
    assert not Path(place.strip()).is_relative_to(ROOT)


def test_the_rules_are_there(installed: Installed) -> None:
    """Data files are read through the package, and all rule files lie where it looks for them."""
    count = installed(
        "-c",
        "from importlib.resources import files\n"
        "from molehunt.data import read_bytes\n"
        "assert read_bytes('data/attack_v18.1.json') and read_bytes('pack.yml')\n"
        "folders = [one for one in files('molehunt.rules').iterdir() if one.is_dir()]\n"
        "print(sum(f.name.endswith('.yml') for one in folders for f in one.iterdir()))",
    )
    assert int(count) == len(list((ROOT / "rules").glob("*/*.yml"))) > 0


def test_the_command_starts(installed: Installed) -> None:
    """The script answers with the version that the code has."""
    answer = run(installed.python.with_name("molehunt"), "--version", cwd=installed.elsewhere)
    version = installed("-c", "import molehunt; print(molehunt.__version__)").strip()
    assert answer.split() == ["molehunt", version]


def test_an_editable_installation_is_live(tmp_path: Path) -> None:
    """A module added later, outside src, is there at once."""
    source = copy_of_checkout(tmp_path / "source")
    environment = install(tmp_path, "--editable", source)
    (source / "detectors" / "added_later.py").write_text("ANSWER = 42\n", encoding="utf-8")
    answer = environment("-c", "from molehunt.detectors.added_later import ANSWER; print(ANSWER)")
    assert answer == "42\n"
