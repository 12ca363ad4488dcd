"""The layers, by subject, as `torch.nn.modules`; each name of a subject's `__all__` stands here too."""

import importlib
import pkgutil

from pullback.face.absent import getter

__all__: list[str] = []
for _file in pkgutil.iter_modules(__path__):
    if not _file.name.startswith("_"):
        _module = importlib.import_module(f"{__name__}.{_file.name}")
        for _name in getattr(_module, "__all__", ()):
            globals()[_name] = getattr(_module, _name)
            __all__.append(_name)

importlib.import_module(f"{__name__}._compiled")  # says what a compiled module is

__getattr__ = getter(__name__)
