"""Neural networks, as `torch.nn`: modules, their parameters, initial values, and what goes with them."""

from pullback.autograd.profiler import install_module_path
from pullback.face.absent import getter
from pullback.face.placeholders import stand_in
from pullback.nn import functional as functional
from pullback.nn import init as init
from pullback.nn import modules as modules
from pullback.nn import utils as utils
from pullback.nn.modules._path import ModulePath
from pullback.nn.modules.utils import factory_kwargs as factory_kwargs
from pullback.nn.parallel import DataParallel as DataParallel
from pullback.nn.parameter import Buffer as Buffer
from pullback.nn.parameter import Parameter as Parameter
from pullback.nn.parameter import UninitializedBuffer as UninitializedBuffer
from pullback.nn.parameter import UninitializedParameter as UninitializedParameter

install_module_path(ModulePath)
globals().update({name: getattr(modules, name) for name in modules.__all__})
for _name in ("intrinsic", "qat", "quantizable", "quantized"):
    stand_in(f"{__name__}.{_name}", "has no torch.ao")
__getattr__ = getter(__name__)
