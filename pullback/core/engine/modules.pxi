# Modules: what trees of them hold, gathered without Python for each, and the way into `forward`.
#
# A module keeps its parts in the dicts `_parameters`, `_buffers` and `_modules`; nn/modules/module.py makes
# them, and says which classes have methods of their own that must be asked instead. `held_tensors` gathers
# parameters or buffers, `clear_module` forgets gradients, `save_module` fills a state dict. `call_module` is
# `Module.__call__`, and `part_of_module` is `Module.__getattr__`.
#
# From other parts: Tensor, detached (tensor.pxi); is_plain (dispatch.pxi); pb_thread, PyTypeObject
# (_engine.pyx).

cdef bint _is_new(set seen, object x) except -1:
    """Whether a set did not have something, which is put there."""
    cdef Py_ssize_t before = PySet_GET_SIZE(seen)
    seen.add(x)
    return PySet_GET_SIZE(seen) > before


cdef int _gather(object module, str store, str above, set modules, set tensors, list names,
                 list found) except -1:
    cdef dict own = PyObject_GenericGetDict(module, NULL)
    cdef str name
    if not _is_new(modules, module):
        return 0
    for name, x in (<dict>own[store]).items():
        if x is not None and _is_new(tensors, x):
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


cdef int _clear_below(object module, set modules) except -1:
    cdef dict own = PyObject_GenericGetDict(module, NULL)
    if _is_new(modules, module):
        for x in (<dict>own["_parameters"]).values():
            if x is not None:
                (<Tensor?>x)._grad = None
        for child in (<dict>own["_modules"]).values():
            if child is not None:
                _clear_below(child, modules)
    return 0


def clear_module(module):
    """Forgets the gradients of the parameters of a module and of those below it."""
    _clear_below(module, set())


cdef object _detached(object x):
    if (type(x) is Tensor or type(x) is _last_kind or _is_plain_kind(x)) and not pb_thread.level and (
            (<Tensor>x).tangents is None):
        return detached(<Tensor>x)
    return x.detach()


cdef object _last_kind = None   # the last class of plain tensors that was met: mostly Parameter


cdef bint _is_plain_kind(object x) except -1:
    global _last_kind
    if not isinstance(x, Tensor) or not is_plain(type(x)):
        return False
    _last_kind = type(x)
    return True


@cython.final
cdef class _Place:
    """Where a module stands in a tree: the keys of what it holds and the places below it, made once each."""

    cdef str path, prefix
    cdef dict keys, below

    def __cinit__(self, str path, str prefix):
        self.path, self.prefix, self.keys, self.below = path, prefix, {}, {}


# Making and hashing keys costs as much as the rest of a state dict; their number is bounded.
cdef dict _places = {}
cdef Py_ssize_t _keys_made = 0
cdef enum:
    MOST_KEYS = 16384


cdef int _count_key() except -1:
    global _places, _keys_made
    _keys_made += 1
    if _keys_made > MOST_KEYS:
        _places, _keys_made = {}, 0
    return 0


cdef str _key(_Place place, str name):
    cdef PyObject* found = PyDict_GetItem(place.keys, name)
    if found != NULL:
        return <str>found
    key = place.keys[name] = place.prefix + name
    _count_key()
    return key


cdef _Place _place_below(_Place place, str name):
    cdef PyObject* found = PyDict_GetItem(place.below, name)
    if found != NULL:
        return <_Place>found
    path = place.prefix + name
    below = place.below[name] = _Place(path, path + ".")
    _count_key()
    return below


cdef int _save_below(dict own, object version, object state, _Place place, bint keep_vars, object metadata,
                     dict versions) except -1:
    cdef dict below
    cdef str name
    cdef _Place inner
    cdef PyObject* found = NULL
    kind = None
    metadata[place.path] = {"version": version}
    for name, x in (<dict>own["_parameters"]).items():
        if x is not None:
            state[_key(place, name)] = x if keep_vars else _detached(x)
    if <dict>own["_buffers"]:
        hidden = own["_non_persistent_buffers_set"]
        for name, x in (<dict>own["_buffers"]).items():
            if x is not None and name not in hidden:
                state[_key(place, name)] = x if keep_vars else _detached(x)
    for name, child in (<dict>own["_modules"]).items():
        if child is None:
            continue
        below = PyObject_GenericGetDict(child, NULL)
        inner = _place_below(place, name)
        if type(child) is not kind:
            kind, found = type(child), PyDict_GetItem(versions, type(child))
        if found != NULL and not (len(<dict>below["_state_dict_hooks"]) or "state_dict" in below or
                                  len(<dict>below["_state_dict_pre_hooks"])):
            _save_below(below, <object>found, state, inner, keep_vars, metadata, versions)
        else:
            child.state_dict(destination=state, prefix=inner.prefix, keep_vars=keep_vars)
    return 0


def save_module(module, state, str prefix, bint keep_vars, metadata, dict versions):
    """Puts what a module and those below it hold into a state dict, and their versions into its metadata.

    `versions` has the version of each class that is saved as Module is. A module below of another class, or
    one with hooks for it, is asked by its `state_dict`.
    """
    cdef PyObject* found = PyDict_GetItem(_places, prefix)
    cdef _Place place
    if found != NULL:
        place = <_Place>found
    else:
        place = _places[prefix] = _Place(prefix[:-1], prefix)
        _count_key()
    _save_below(PyObject_GenericGetDict(module, NULL), versions[type(module)], state, place, keep_vars,
                metadata, versions)


# NOTE [Slots of modules]: a call of an object whose class has a `__call__` in Python makes a tuple, a dict
# and two frames; an attribute that `__getattr__` finds is an AttributeError first. Every layer pays for
# both. So the type of a class that has Module's `__call__` gets the function below as its slot, and so for
# `__getattr__`: they do what the methods do. Python makes the slots anew when a class gets methods of these
# names later, as it does for any class.

cdef tuple _stores = tuple([sys.intern(x) for x in ("_parameters", "_buffers", "_modules")])
cdef tuple _hooks_of_calls = tuple([sys.intern(x) for x in (
    "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")])
cdef tuple _global_hooks = ()
cdef object _hooked_call = None
cdef object _FORWARD = sys.intern("forward")
cdef enum:
    MOST_ARGUMENTS = 8   # of a `forward` that is called without a tuple of them


def install_modules(tuple hooks, call):
    """Takes the tables of the hooks that all modules have, and what calls a module where there are hooks."""
    global _global_hooks, _hooked_call
    _global_hooks, _hooked_call = hooks, call


cdef object _part(object module, dict own, object name):
    cdef PyObject* store
    for key in _stores:
        store = PyDict_GetItem(own, key)
        if store == NULL:   # `__init__` has not run
            break
        if name in <object>store:
            return (<object>store)[name]
    raise AttributeError(f"'{type(module).__name__}' object has no attribute '{name}'", name=name, obj=module)


cdef object _attribute(object module, object name):
    cdef dict own = PyObject_GenericGetDict(module, NULL)
    cdef PyObject* found
    if _PyType_Lookup(Py_TYPE(module), name) == NULL:
        found = PyDict_GetItem(own, name)
        return _part(module, own, name) if found == NULL else <object>found
    try:
        return PyObject_GenericGetAttr(module, name)
    except AttributeError:   # of a property
        return _part(module, own, name)


cdef bint _has_hooks(object module, dict own) except -1:
    cdef PyObject* hooks
    for key in _hooks_of_calls:
        hooks = PyDict_GetItem(own, key)
        if hooks == NULL:   # `__init__` has not run
            return bool(module._backward_hooks)
        if <object>hooks:
            return True
    for table in _global_hooks:
        if <dict>table:
            return True
    return False


cdef object _call(object module, object args, PyObject* kwargs):
    cdef dict own = PyObject_GenericGetDict(module, NULL)
    cdef PyObject* stack[MOST_ARGUMENTS + 1]
    cdef PyObject* forward
    cdef PyTypeObject* kind = Py_TYPE(module)
    cdef Py_ssize_t i, count = PyTuple_GET_SIZE(args)
    if _has_hooks(module, own):
        return _hooked_call(module, args, {} if kwargs == NULL else <object>kwargs)
    if count <= MOST_ARGUMENTS and kind.tp_getattro == _attribute and PyDict_GetItem(own, _FORWARD) == NULL:
        forward = _PyType_Lookup(kind, _FORWARD)
        if forward != NULL and type(<object>forward) is FunctionType:
            stack[0] = <PyObject*>module
            for i in range(count):
                stack[i + 1] = PyTuple_GET_ITEM(args, i)
            return PyObject_VectorcallDict(<object>forward, stack, count + 1, kwargs)
    return PyObject_Call(module.forward, args, kwargs)


def call_module(self, /, *args, **kwargs):
    """`Module.__call__`: runs `forward`, and the hooks where there are any."""
    return _call(self, args, <PyObject*>kwargs)


def part_of_module(self, str name, /):
    """`Module.__getattr__`: a parameter, buffer or module by its name."""
    return _part(self, PyObject_GenericGetDict(self, NULL), name)


def use_slots(cls):
    """Gives a class the slots for calls and attributes, where they do what its methods do."""
    cdef PyTypeObject* kind = <PyTypeObject*><PyObject*>cls
    if cls.__call__ is call_module:
        kind.tp_call = _call
    if cls.__getattr__ is part_of_module and cls.__getattribute__ is object.__getattribute__:
        kind.tp_getattro = _attribute
    PyType_Modified(kind)
