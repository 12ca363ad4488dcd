"""`torch.__future__`: how modules are converted and loaded, where that may change one day."""

_overwrite_module_params_on_conversion = False
_swap_module_params_on_conversion = False


def set_overwrite_module_params_on_conversion(value: bool) -> None:
    """Says whether a module that is converted gets new parameters instead of new numbers in the old ones."""
    global _overwrite_module_params_on_conversion
    _overwrite_module_params_on_conversion = value


def get_overwrite_module_params_on_conversion() -> bool:
    """Whether a module that is converted gets new parameters. False unless set."""
    return _overwrite_module_params_on_conversion


def set_swap_module_params_on_conversion(value: bool) -> None:
    """Says whether converting and loading modules swaps parameters with new ones (`utils.swap_tensors`)."""
    global _swap_module_params_on_conversion
    _swap_module_params_on_conversion = value


def get_swap_module_params_on_conversion() -> bool:
    """Whether converting and loading modules swaps parameters with new ones. False unless set."""
    return _swap_module_params_on_conversion
