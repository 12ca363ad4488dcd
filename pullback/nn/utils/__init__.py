"""What goes with modules, as `torch.nn.utils`; the files are imported when a name of theirs is first used."""

from pullback.face.absent import getter

_HOMES = {
    "clip_grad": "clip_grad_norm clip_grad_norm_ clip_grad_value_ clip_grads_with_norm_ get_total_norm",
    "convert_parameters": "parameters_to_vector vector_to_parameters",
    "fusion": "fuse_conv_bn_eval fuse_conv_bn_weights fuse_linear_bn_eval fuse_linear_bn_weights",
    "init": "skip_init",
    "memory_format": "convert_conv2d_weight_memory_format convert_conv3d_weight_memory_format",
    "spectral_norm": "spectral_norm remove_spectral_norm",
    "weight_norm": "weight_norm remove_weight_norm",
}

_later = {name: f"{__name__}.{file}" for file, names in _HOMES.items() for name in names.split()}
__all__ = list(_later)
__getattr__ = getter(__name__, _later)
