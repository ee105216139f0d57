"""From module files to the graphs and sensors of a project, or to every fault in the way."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
import sys
import sysconfig
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reactor.errors import DefinitionError
from reactor.model.graph import Fault, Graph, compile_workflow
from reactor.model.trigger import spell_error
from reactor.model.workflow import Workflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import ModuleType

    from reactor.model.sensor import Sensor

_EXPECTED = "expected a Python file, or a folder of them, that defines workflows"
_loads = itertools.count(1)
# Libraries may lie below a project's folder (a virtual environment does); they are not the user's.
_LIBRARIES = ("site-packages", "dist-packages")
_OURS = str(Path(__file__).resolve().parents[1]) + os.sep
_STANDARD_LIBRARY = sysconfig.get_paths()["stdlib"] + os.sep


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What was loaded. With `faults`, graphs and sensors are only those that are sound; run none.

    `graphs` are by workflow name and `sensors` by `sensor_name`, in the order of definition.
    `files` are the absolute paths of the module files, without the modules that they import.
    """

    graphs: Mapping[str, Graph]
    sensors: Mapping[str, Sensor]
    faults: Sequence[Fault]
    files: Sequence[Path]


def load_project(paths: Sequence[Path]) -> Project:
    """Import the module files at `paths` and compile their workflows; faults are returned.

    A path is a `.py` file, or a folder whose `*.py` files are taken (not those that begin with
    `_` or `.`). A file may import modules beside it; those never hide an installed module. May be
    repeated: each call imports all files, and the modules beside them, anew. After a call that
    found faults, the modules of the call before it stay in place.
    """
    faults: list[Fault] = []
    sources = _sources(paths, faults)
    files = list(dict.fromkeys(file for source in sources for file in source.files))
    modules = _ProjectModules(files)
    undo = modules.enter()
    imported = _Imported(modules)
    for folder in dict.fromkeys(file.parent for file in files):
        imported.add_folder(folder, [file for file in files if file.parent == folder])
    faults += imported.faults
    faults += [_no_workflow(source) for source in sources if imported.lacks_workflow(source)]
    faults += _duplicate_names(imported.workflows)
    sensors = _sensors(imported.workflows, faults)
    faults = list(dict.fromkeys(faults))  # a module that two files import fails in both
    if faults:
        undo()
    return Project(graphs=imported.graphs, sensors=sensors, faults=faults, files=files)


@dataclass(frozen=True, slots=True)
class _Source:
    """One path as given, and the module files it stands for."""

    path: Path
    files: tuple[Path, ...]


def _sources(paths: Sequence[Path], faults: list[Fault]) -> list[_Source]:
    sources = []
    if not paths:
        faults.append(_path_fault(Path.cwd(), f"no path was given; {_EXPECTED}"))
    for path in paths:
        absolute = Path(os.path.abspath(path))
        try:
            sources.append(_Source(absolute, _module_files(absolute)))
        except OSError as error:
            faults.append(_path_fault(absolute, f"cannot be read: {error.strerror}; {_EXPECTED}"))
        except DefinitionError as error:
            faults.append(_path_fault(absolute, f"{error}; {_EXPECTED}"))
    return sources


def _module_files(path: Path) -> tuple[Path, ...]:
    """Return the module files of one path. Raises DefinitionError or OSError for none."""
    if path.is_dir():
        with os.scandir(path) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file())
        names = [n for n in names if n.endswith(".py") and not n.startswith(("_", "."))]
        if not names:
            raise DefinitionError("this folder has no *.py file")
        return tuple(path / name for name in names)
    if not path.exists():
        raise DefinitionError("there is no such file or folder")
    if path.suffix != ".py":
        raise DefinitionError("this is not a *.py file")
    return (path,)


@dataclass(slots=True)
class _Imported:
    """What the files of a project held, folder after folder."""

    modules: _ProjectModules
    workflows: list[Workflow] = field(default_factory=list)
    graphs: dict[str, Graph] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    _without_workflow: set[Path] = field(default_factory=set)

    def add_folder(self, folder: Path, files: Sequence[Path]) -> None:
        """Import the files, then compile: a step may be added to a workflow of another file.

        Compiling belongs to the folder, because annotations are looked up in modules by name, and
        another folder may have another module of the same name.
        """
        self.modules.look_in(folder)
        found: dict[int, Workflow] = {}
        for file in files:
            module = self._module(file)
            values = vars(module).values() if module else ()
            here = {id(value): value for value in values if isinstance(value, Workflow)}
            found.update(here)
            if module and not here:
                self._without_workflow.add(file)
        for workflow in found.values():
            if any(workflow is other for other in self.workflows):
                continue
            self.workflows.append(workflow)
            graph, faults = compile_workflow(workflow)
            self.faults += faults
            if graph is not None:
                self.graphs.setdefault(graph.name, graph)

    def lacks_workflow(self, source: _Source) -> bool:
        """Return whether all files of a path were imported and none held a workflow."""
        return self._without_workflow.issuperset(source.files)

    def _module(self, file: Path) -> ModuleType | None:
        try:
            return self.modules.load(file)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # importing runs the user's code
            self.faults.append(_import_fault(error, file, self.modules.owns))
            return None


def _no_workflow(source: _Source) -> Fault:
    kind = "file" if source.files == (source.path,) else "folder"
    message = f"this {kind} defines no workflow; {_EXPECTED}"
    return _path_fault(source.path, f'{message}: name = Workflow("name", on=...)')


def _duplicate_names(workflows: Iterable[Workflow]) -> list[Fault]:
    first: dict[str, Workflow] = {}
    return [
        Fault(
            file=workflow.file,
            line=workflow.line,
            message=f"workflow {workflow.name!r} is defined twice; first at "
            f"{other.file}:{other.line}. Rename one: runs are kept under the name",
        )
        for workflow in workflows
        if (other := first.setdefault(workflow.name, workflow)) is not workflow
    ]


def _sensors(workflows: Iterable[Workflow], faults: list[Fault]) -> dict[str, Sensor]:
    """Return each sensor once; equal ones of the same name are one sensor."""
    first: dict[str, tuple[Sensor, Workflow]] = {}
    for workflow in workflows:
        for trigger in workflow.triggers:
            name = trigger.sensor.sensor_name
            sensor, other = first.setdefault(name, (trigger.sensor, workflow))
            if sensor != trigger.sensor:
                message = (
                    f"workflow {workflow.name!r} gives sensor {name!r} other options "
                    f"({_differences(sensor, trigger.sensor)}) than workflow {other.name!r} at "
                    f"{other.file}:{other.line}. Make them equal, or give one a name of its own "
                    "with name="
                )
                faults.append(Fault(file=workflow.file, line=workflow.line, message=message))
    return {name: sensor for name, (sensor, _) in first.items()}


def _differences(one: Sensor, other: Sensor) -> str:
    """Return in what `other` differs from `one`, without values: an option may be a secret."""
    if type(one) is not type(other):
        return f"a {type(other).__name__}, not a {type(one).__name__}"
    names = type(one).model_fields
    return ", ".join(name for name in names if getattr(one, name) != getattr(other, name))


def _path_fault(path: Path, message: str) -> Fault:
    return Fault(file=str(path), line=0, message=message)


def _import_fault(error: BaseException, file: Path, owns: Callable[[str], bool]) -> Fault:
    """Return where in the user's own files an import failed, and with what."""
    if isinstance(error, SyntaxError) and error.filename and owns(error.filename):
        message = f"{type(error).__name__}: {error.msg}"
        return Fault(file=error.filename, line=error.lineno or 1, message=message)
    name, line = str(file), 0
    traceback = error.__traceback__
    while traceback is not None:
        if owns(traceback.tb_frame.f_code.co_filename):
            name, line = traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
        traceback = traceback.tb_next
    return Fault(file=name, line=line, message=_import_message(error))


def _import_message(error: BaseException) -> str:
    if isinstance(error, DefinitionError):
        return str(error)
    if isinstance(error, SystemExit):
        return (
            f"SystemExit: {error.code}; the file ends the program while it is imported, "
            'put that below: if __name__ == "__main__"'
        )
    if isinstance(error, ModuleNotFoundError) and error.name and "." not in error.name:
        return f"{spell_error(error)}; install it where Reactor runs, or put it beside this file"
    return spell_error(error)


class _FreshLoader(SourceFileLoader):
    """Compiles the source each time: a .pyc misses an edit of equal size in the same second."""

    def get_code(self, fullname: str) -> Any:
        return self.source_to_code(self.get_data(self.path), self.path)


class _SameModuleLoader(SourceFileLoader):
    """Answers `import rates` beside `rates.py` with the module that is loaded from that file.

    A second copy would define its workflows a second time.
    """

    def __init__(self, fullname: str, path: str, modules: _ProjectModules) -> None:
        super().__init__(fullname, path)
        self._modules = modules
        self._own_spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = self._modules.load(Path(self.path))
        self._own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own_spec  # by now the import system has put that of the alias there


class _ProjectModules:
    """The modules of one load: imports files by path, and finds what they import from beside them.

    It is a finder of the import system, and stays one: a step may import only when it runs.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._number = next(_loads)
        self._files = {str(file) for file in files}
        self._folders = list(dict.fromkeys(str(file.parent) for file in files))
        self._loaded: dict[str, ModuleType] = {}

    def enter(self) -> Callable[[], None]:
        """Take the place of the load before; return what undoes that.

        The files' own modules of the load before stay in sys.modules, for runs that still use
        them; those of earlier loads go.
        """
        finders = [finder for finder in sys.meta_path if isinstance(finder, _ProjectModules)]
        kept = {module.__name__ for finder in finders for module in finder._loaded.values()}
        removed = {name: module for name, module in _project_modules() if name not in kept}
        for name in removed:
            del sys.modules[name]
        for finder in finders:
            sys.meta_path.remove(finder)
        # First: submodules of a user's package would else be found, and cached, by their path.
        sys.meta_path.insert(0, self)
        importlib.invalidate_caches()

        def undo() -> None:
            for name, _ in _project_modules():
                if name not in kept:
                    del sys.modules[name]
            sys.modules.update(removed)
            sys.meta_path.remove(self)
            sys.meta_path[:0] = finders

        return undo

    def owns(self, filename: str) -> bool:
        """Return whether a file is the user's: in or below a folder of the project, no library."""
        if filename in self._files:
            return True
        is_library = any(part in _LIBRARIES for part in Path(filename).parts)
        if is_library or filename.startswith((_OURS, _STANDARD_LIBRARY)):
            return False
        return any(_is_below(filename, folder) for folder in self._folders)

    def look_in(self, folder: Path) -> None:
        """Search `folder` first from now on, and forget modules of others that hide one of it."""
        self._folders.sort(key=lambda other: other != str(folder))
        aside = {module.__name__ for module in self._loaded.values()}
        for name, module in _project_modules():
            if name not in aside and not _is_below(_place(module), str(folder)):
                top = name.partition(".")[0]
                if PathFinder.find_spec(top, [str(folder)]) is not None:
                    del sys.modules[name]

    def load(self, file: Path) -> ModuleType:
        """Return the module of a file of the project. Raises what importing it raises."""
        if str(file) in self._loaded:
            return self._loaded[str(file)]
        name = f"_reactor_project_{self._number}_{len(self._loaded)}_{file.stem}"
        loader = _FreshLoader(name, str(file))
        spec = ModuleSpec(name, loader, origin=str(file))
        spec.has_location = True
        module = importlib.util.module_from_spec(spec)
        # Before it runs: typing.get_type_hints and pydantic look names up in sys.modules.
        sys.modules[name] = self._loaded[str(file)] = module
        try:
            loader.exec_module(module)
        except BaseException:
            del self._loaded[str(file)]
            del sys.modules[name]
            raise
        return module

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find modules beside the project's files. Installed ones go first, save a bare folder.

        A bare folder on sys.path (a namespace package) would hide a user's module of its name;
        Reactor's own source tree has `sensors/` and `handlers/`.
        """
        if path is not None:
            within = [place for place in path if self.owns(place)]
            return self._own(PathFinder.find_spec(fullname, within)) if within else None
        installed = None
        for finder in sys.meta_path:
            if finder is not self and installed is None:
                installed = finder.find_spec(fullname, None, target)
        if installed is not None and installed.origin is not None:
            return installed
        return self._own(PathFinder.find_spec(fullname, self._folders)) or installed

    def _own(self, spec: ModuleSpec | None) -> ModuleSpec | None:
        if spec is None:
            return None
        if spec.submodule_search_locations is not None:
            # A plain list: that of a namespace package follows sys.path, where we are not.
            spec.submodule_search_locations = [*spec.submodule_search_locations]
        if isinstance(spec.loader, SourceFileLoader):
            if spec.loader.path in self._files:
                spec.loader = _SameModuleLoader(spec.name, spec.loader.path, self)
            else:
                spec.loader = _FreshLoader(spec.name, spec.loader.path)
        elif spec.loader is None:
            spec.loader_state = _ProjectModules  # marks a bare folder of the user's
        return spec


def _project_modules() -> list[tuple[str, ModuleType]]:
    """Return the modules that came from project files or from beside them."""
    return [
        (name, module)
        for name, module in [*sys.modules.items()]
        if (spec := getattr(module, "__spec__", None)) is not None
        and (isinstance(spec.loader, _FreshLoader) or spec.loader_state is _ProjectModules)
    ]


def _place(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or next(iter(module.__path__))


def _is_below(filename: str, folder: str) -> bool:
    return filename.startswith(folder.rstrip(os.sep) + os.sep)
