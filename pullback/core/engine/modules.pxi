# What trees of modules hold, gathered without Python for each module.
#
# A module keeps its parts in the dicts `_parameters`, `_buffers` and `_modules`; nn/modules/module.py makes
# them, and says which classes have methods of their own that must be asked instead. `held_tensors` gathers
# parameters or buffers, `save_module` fills a state dict.
#
# From other parts: Tensor, detached (tensor.pxi); is_plain (dispatch.pxi); pb_thread (_engine.pyx).

cdef int _gather(object module, str store, str above, set modules, set tensors, list names,
                 list found) except -1:
    cdef dict own = module.__dict__
    cdef str name
    if module in modules:
        return 0
    modules.add(module)
    for name, x in (<dict>own[store]).items():
        if x is not None and x not in tensors:
            tensors.add(x)
            found.append(x)
            if names is not None:
                names.append(above + name)
    for name, child in (<dict>own["_modules"]).items():
        if child is not None:
            _gather(child, store, "" if names is None else above + name + ".", modules, tensors, names, found)
    return 0


def held_tensors(module, str store):
    """The tensors in a store of a module and of those below it, each once: a list."""
    cdef list found = []
    _gather(module, store, "", set(), set(), None, found)
    return found


def named_tensors(module, str store, str prefix):
    """The names and the tensors in a store of a module and of those below it, each once: two lists."""
    cdef list names = [], found = []
    _gather(module, store, prefix + "." if prefix else "", set(), set(), names, found)
    return names, found


cdef object _detached(object x):
    if isinstance(x, Tensor) and not pb_thread.level and (type(x) is Tensor or is_plain(type(x))) and (
            (<Tensor>x).tangents is None):
        return detached(<Tensor>x)
    return x.detach()


cdef int _save_below(object module, dict own, object state, str path, str prefix, bint keep_vars,
                     object metadata, dict versions) except -1:
    cdef dict below
    cdef str name, inner
    metadata[path] = {"version": <object>PyDict_GetItem(versions, type(module))}
    for name, x in (<dict>own["_parameters"]).items():
        if x is not None:
            state[prefix + name] = x if keep_vars else _detached(x)
    if <dict>own["_buffers"]:
        hidden = own["_non_persistent_buffers_set"]
        for name, x in (<dict>own["_buffers"]).items():
            if x is not None and name not in hidden:
                state[prefix + name] = x if keep_vars else _detached(x)
    for name, child in (<dict>own["_modules"]).items():
        if child is None:
            continue
        below = child.__dict__
        path = prefix + name
        inner = path + "."
        if PyDict_GetItem(versions, type(child)) != NULL and not (
                below["_state_dict_hooks"] or below["_state_dict_pre_hooks"] or "state_dict" in below):
            _save_below(child, below, state, path, inner, keep_vars, metadata, versions)
        else:
            child.state_dict(destination=state, prefix=inner, keep_vars=keep_vars)
    return 0


def save_module(module, state, str prefix, bint keep_vars, metadata, dict versions):
    """Puts what a module and those below it hold into a state dict, and their versions into its metadata.

    `versions` has the version of each class that is saved as Module is. A module below of another class, or
    one with hooks for it, is asked by its `state_dict`.
    """
    _save_below(module, module.__dict__, state, prefix[:-1], prefix, keep_vars, metadata, versions)
