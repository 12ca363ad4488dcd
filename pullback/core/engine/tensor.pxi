# Tensor: its operators, its attributes, and the ways to make one.
#
# Only what Python's slots need and what must be quick stands here. All other methods are ops, which `attach`
# puts into the type's dict when the package is imported; `install` hands over the ops behind the operators
# (`_add`, ...) and the table of all ops by name (`_ops`).
#
# Read the fields of `Tensor`, then `binary`, the way of `x * y`. After the class: how it is set up, then
# `wrap` and its kin, which make tensors.
#
# From other parts: Op, _IN_PLACE (op.pxi); cast_array, has_gradients, KIND (pointwise.pxi); enter_live,
# hooks_of, leave_live, Link, live_tensors, Node, _register, seen (nodes.pxi); Saved, Storage (saved.pxi);
# _check_value_access (levels.pxi); accumulator, apply_pointwise, DisableTorchFunction, dispatch,
# dispatch_tuple, _function_state, history, mixture, overriding, requires, torch_function (dispatch.pxi);
# indexed_view, refresh_view, set_memory, storage, version_of, view_tensor, write_indexed (inplace.pxi);
# backward_scalar (backward.pxi); Listener (listening.pxi); note_made, unsure (tapes.pxi); let_go,
# note_memory, profiled_item, profiled_write, profiling, NOTES_MEMORY (events.pxi); unfollowed
# (gradients.pxi); bare, install_new, install_stand_in, lazy_dict, level_slot, pb_thread, physical_slot,
# stands_in (_engine.pyx).

cdef Op _add, _sub, _mul, _div, _pow, _pow_number, _rpow, _rsub, _neg, _mm, _lt, _le, _gt, _ge, _eq, _ne
cdef Op _basic, _detach    # the first is `x[key]`
cdef object _operators = {}
cdef object _ops = None    # the namespace of ops that the engine itself needs: handed over by pullback.ops


def install(operators, namespace):
    """Hands the engine the ops behind Python's operators, and the few it calls itself."""
    global _add, _sub, _mul, _div, _pow, _pow_number, _rpow, _rsub, _neg, _mm
    global _lt, _le, _gt, _ge, _eq, _ne, _basic, _detach, _operators, _ops
    _add, _sub, _mul, _div = operators["add"], operators["sub"], operators["mul"], operators["div"]
    _pow, _pow_number, _rpow = operators["pow"], operators["pow_number"], operators["rpow"]
    _rsub, _neg, _mm = operators["rsub"], operators["neg"], operators["mm"]
    _lt, _le, _gt, _ge = operators["lt"], operators["le"], operators["gt"], operators["ge"]
    _eq, _ne, _basic, _detach = operators["eq"], operators["ne"], operators["basic"], operators["detach"]
    _operators = operators
    _ops = namespace


cdef object _backward = None


def install_backward(function):
    """Hands over `torch.autograd.backward` for all but the plainest call."""
    global _backward
    _backward = function


def number_tensor(number, int code, bint requires_grad=False):
    """A 0-dim tensor of a Python number."""
    cdef Number element
    store_number(number, code, &element)
    cdef Tensor t = wrap(number_array(&element, code))
    note_made(t)
    if requires_grad:
        t.requires_grad = True
    return t


cdef inline bint is_operand(object x):
    return isinstance(x, (Tensor, float, int, complex, np.number, np.bool_))


cdef object binary(Op op, object a, object b):
    """`a op b` for an operator; NotImplemented where b is nothing we know."""
    cdef PyObject* argv[2]
    if pb_thread.level == 0 and (type(a) is Tensor or type(a) is float or type(a) is int) and (
            type(b) is Tensor or type(b) is float or type(b) is int):
        argv[0], argv[1] = <PyObject*>a, <PyObject*>b
        return apply_pointwise(op, argv, 2, None)
    if not is_operand(a) or not is_operand(b):
        if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
            return dispatch_tuple(op, (_as_operand(a), _as_operand(b)), None)
        return refuse_operand(op, a, b)
    argv[0], argv[1] = <PyObject*>a, <PyObject*>b
    return dispatch(op, argv, None)


cdef object _new_tuple = tuple.__new__   # a Size of known ints: past its check


cdef object refuse_operand(Op op, object a, object b):
    """NotImplemented, or for builtin types the TypeError with PyTorch's name of the type."""
    other = b if isinstance(a, Tensor) else a
    if op.symbol is None or type(other).__module__ != "builtins":
        return NotImplemented
    left, right = ["Tensor" if isinstance(x, Tensor) else type(x).__name__ for x in (a, b)]
    if op.swapped:
        left, right = right, left
    if op.symbol[0] in "<>":
        raise TypeError(f"'{op.symbol}' not supported between instances of '{left}' and '{right}'")
    raise TypeError(f"unsupported operand type(s) for {op.symbol}: '{left}' and '{right}'")


cdef object _as_operand(object x):
    return wrap(np.asarray(x)) if isinstance(x, np.ndarray) else x


cdef object power(object a, object b):
    if isinstance(b, Tensor):
        return binary(_pow if isinstance(a, Tensor) else _rpow, a, b)
    if type(b) is int and b < 0 and isinstance(a, Tensor) and not has_gradients((<Tensor>a).array):
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    return binary(_pow_number, a, b)


cdef object inplace_binary(Op op, Tensor a, object b):
    cdef PyObject* argv[2]
    if not is_operand(b):
        return NotImplemented
    argv[0], argv[1] = <PyObject*>a, <PyObject*>b
    return dispatch(op, argv, _IN_PLACE)


@cython.freelist(512)
@cython.binding(False)   # so that a method called on another object is refused
@cython.embedsignature(True)
@cython.embedsignature.format("clinic")
cdef class Tensor:
    """An array of numbers that remembers how it was computed.

    >>> import pullback as torch
    >>> x = torch.tensor(2.0, requires_grad=True)
    >>> y = x**2 + 1
    >>> y.backward()
    >>> x.grad
    tensor(4.)
    """

    cdef ndarray array            # the payload; views of one memory are views of one base array
    cdef Node node                # grad_fn, None for a leaf
    cdef Node accumulator         # of a leaf, made when a graph first reaches it
    cdef Saved as_leaf            # what nodes save of a leaf
    cdef Storage storage          # version counter, made when first shared or written to
    cdef Tensor base              # the tensor this is a view of, never itself a view
    cdef object _grad
    cdef object tangents          # forward mode: {level: tangent}, or None
    cdef unsigned int attr_version   # views: the storage's version when `node` was last right
    cdef int output_index         # which output of `node` this is
    cdef char creation            # how a view was made, see Creation
    cdef unsigned char depth      # in how many functions of `func` it was made
    cdef bint requires, retains, meta, inference
    cdef object __weakref__
    cdef PyObject* attributes     # `__dict__`, made at the first user attribute: see `lazy_dict`

    cdef Link link

    def __cinit__(self):
        self.depth = <unsigned char>pb_thread.depth
        if type(self) is Tensor:
            enter_live(&live_tensors, &self.link, <PyObject*>self)

    def __dealloc__(self):
        leave_live(&self.link)
        if self.array is not None and Py_REFCNT(<PyObject*>self.array) == 1:
            let_go(self.array)
        Py_XDECREF(self.attributes)
        self.attributes = NULL

    def __add__(self, other):
        return binary(_add, self, other)

    def __radd__(self, other):
        return binary(_add, self, other)

    def __sub__(self, other):
        return binary(_sub, self, other)

    def __rsub__(self, other):
        return binary(_rsub, self, other)

    def __mul__(self, other):
        return binary(_mul, self, other)

    def __rmul__(self, other):
        return binary(_mul, self, other)

    def __truediv__(self, other):
        return binary(_div, self, other)

    def __rtruediv__(self, other):
        if isinstance(other, np.ndarray):
            other = _as_operand(other)
        return _ops.rdiv(self, other) if is_operand(other) else NotImplemented

    def __pow__(self, other, modulo):
        if modulo is not None:
            raise TypeError("unsupported operand type(s) for ** or pow(): 'Tensor', "
                            f"'{type(other).__name__}', '{type(modulo).__name__}'")
        return power(self, other)

    def __rpow__(self, other, modulo):
        return power(other, self)

    def __neg__(self):
        return dispatch_tuple(_neg, (self,), None)

    def __pos__(self):
        return _ops.positive(self)

    def __abs__(self):
        return _ops.abs(self)

    def __invert__(self):
        if has_gradients(self.array):
            raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
        return _ops.bitwise_not(self)

    def __matmul__(self, other):
        if type(self) is Tensor and type(other) is Tensor and (
                PyArray_NDIM((<Tensor>self).array) == 2 and PyArray_NDIM((<Tensor>other).array) == 2):
            return dispatch_tuple(_mm, (self, other), None)
        return _ops.matmul(self, other) if isinstance(other, Tensor) else NotImplemented

    def __floordiv__(self, other):
        return _ops.floor_divide(self, other) if is_operand(other) else NotImplemented

    def __rfloordiv__(self, other):
        return _ops.floor_divide(other, self) if is_operand(other) else NotImplemented

    def __mod__(self, other):
        return _ops.remainder(self, other) if is_operand(other) else NotImplemented

    def __rmod__(self, other):
        return _ops.remainder(other, self) if is_operand(other) else NotImplemented

    def __lshift__(self, other):
        return _ops.bitwise_left_shift(self, other) if is_operand(other) else NotImplemented

    def __rlshift__(self, other):
        return _ops.bitwise_left_shift(other, self) if is_operand(other) else NotImplemented

    def __rshift__(self, other):
        return _ops.bitwise_right_shift(self, other) if is_operand(other) else NotImplemented

    def __rrshift__(self, other):
        return _ops.bitwise_right_shift(other, self) if is_operand(other) else NotImplemented

    def __and__(self, other):
        return binary(_operators["bitwise_and"], self, other)

    def __rand__(self, other):
        return binary(_operators["bitwise_and"], other, self)

    def __or__(self, other):
        return binary(_operators["bitwise_or"], self, other)

    def __ror__(self, other):
        return binary(_operators["bitwise_or"], other, self)

    def __xor__(self, other):
        return binary(_operators["bitwise_xor"], self, other)

    def __rxor__(self, other):
        return binary(_operators["bitwise_xor"], other, self)

    def __lt__(self, other):
        return binary(_lt, self, other)

    def __le__(self, other):
        return binary(_le, self, other)

    def __gt__(self, other):
        return binary(_gt, self, other)

    def __ge__(self, other):
        return binary(_ge, self, other)

    def __eq__(self, other):
        return binary(_eq, self, other)

    def __ne__(self, other):
        return binary(_ne, self, other)

    def __hash__(self):
        return (<size_t><PyObject*>self) >> 4

    def __iadd__(self, other):
        return inplace_binary(_add, self, other)

    def __isub__(self, other):
        return inplace_binary(_sub, self, other)

    def __imul__(self, other):
        return inplace_binary(_mul, self, other)

    def __itruediv__(self, other):
        return inplace_binary(_div, self, other)

    def __ifloordiv__(self, other):
        return _ops.floor_divide(self, other, out=_IN_PLACE) if is_operand(other) else NotImplemented

    def __imod__(self, other):
        return _ops.remainder(self, other, out=_IN_PLACE) if is_operand(other) else NotImplemented

    def __ipow__(self, other):
        if not is_operand(other):
            return NotImplemented
        return dispatch_tuple(_pow if isinstance(other, Tensor) else _pow_number, (self, other), _IN_PLACE)

    def __iand__(self, other):
        return inplace_binary(_operators["bitwise_and"], self, other)

    def __ior__(self, other):
        return inplace_binary(_operators["bitwise_or"], self, other)

    def __ixor__(self, other):
        return inplace_binary(_operators["bitwise_xor"], self, other)

    def __ilshift__(self, other):
        return _ops.bitwise_left_shift(self, other, out=_IN_PLACE) if is_operand(other) else NotImplemented

    def __irshift__(self, other):
        return _ops.bitwise_right_shift(self, other, out=_IN_PLACE) if is_operand(other) else NotImplemented

    def __getitem__(self, key):
        if profiling:
            return profiled_item(self, key)
        seen = indexed_view(self, key) if type(self) is Tensor and unfollowed() else None
        return _ops.getitem(self, key) if seen is None else seen

    def __setitem__(self, key, value):
        if profiling:
            profiled_write(self, key, value)
        elif type(self) is not Tensor or not unfollowed() or not write_indexed(self, key, value):
            _ops.setitem(self, key, value)

    def __delitem__(self, key):
        raise TypeError("Tensor does not support deleting items")

    def __len__(self):
        if PyArray_NDIM(self.array) == 0:
            raise TypeError("len() of a 0-d tensor")
        return PyArray_DIMS(self.array)[0]

    def __iter__(self):
        return _protocols["__iter__"](self)

    def __contains__(self, element):
        return _protocols["__contains__"](self, element)

    def __float__(self):
        return _protocols["__float__"](self)

    def __int__(self):
        return _protocols["__int__"](self)

    def __index__(self):
        return _protocols["__index__"](self)

    def __repr__(self):
        return _protocols["__repr__"](self)

    def __getattr__(self, name):
        unsure("an attribute of the user's")
        return _protocols["__getattr__"](self, name)

    def __bool__(self):
        cdef npy_intp size = PyArray_SIZE(self.array)
        if size != 1:
            raise RuntimeError("Boolean value of Tensor with no values is ambiguous" if size == 0 else
                               "Boolean value of Tensor with more than one value is ambiguous")
        return bool(self.item())

    # ---- attributes

    @property
    def shape(self):
        """The sizes of the dimensions, a `torch.Size`."""
        return _new_tuple(Size, (<object>self.array).shape)

    @property
    def dtype(self):
        """The number type of the elements."""
        return DTYPES[code_of(self.array)]

    @property
    def device(self):
        """Where the tensor lives: "cpu" or "meta"."""
        return META if self.meta else CPU

    @property
    def ndim(self):
        """The number of dimensions."""
        return PyArray_NDIM(self.array)

    @property
    def requires_grad(self):
        """Whether gradients flow to or through this tensor."""
        return requires(self)

    @requires_grad.setter
    def requires_grad(self, value):
        if not isinstance(value, bool):
            raise RuntimeError("requires_grad must be a bool")
        if self.grad_fn is not None:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables." + ("" if value else
                " If you want to use a computed variable in a subgraph that doesn't require differentiation "
                "use var_no_grad = var.detach()."))
        if value and self.inference and not pb_thread.inference:
            raise RuntimeError("Setting requires_grad=True on inference tensor outside InferenceMode is not "
                               "allowed.")
        if value and not has_gradients(self.array):
            raise RuntimeError("only Tensors of floating point and complex dtype can require gradients")
        self.requires = bool(value)

    @property
    def is_leaf(self):
        """Whether the tensor is at the graph's edge: made by the user, or without a gradient."""
        unsure("history")
        return self.grad_fn is None

    @property
    def grad_fn(self):
        """The node that computed this tensor, None for a leaf."""
        unsure("history")
        refresh_view(self)
        return seen(self.node)

    @property
    def output_nr(self):
        """Which output of `grad_fn` this tensor is."""
        unsure("history")
        refresh_view(self)
        return self.output_index

    @property
    def retains_grad(self):
        """Whether `.grad` is kept though this is no leaf."""
        return self.retains and not self.is_leaf

    @property
    def grad(self):
        """The gradient that backward passes have added up here, None before the first."""
        unsure("`.grad`")
        if self._grad is None and not self.retains and (self.node is not None or self.base is not None):
            if self.grad_fn is not None:
                _warn_non_leaf_grad()
        return self._grad

    @grad.setter
    def grad(self, value):
        if value is not None:
            _check_grad(self, value)
        self._grad = value

    @grad.deleter
    def grad(self):
        self._grad = None

    @property
    def _version(self):
        unsure("a version")
        if self.inference:
            raise RuntimeError("Inference tensors do not track version counter.")
        return version_of(self)

    @property
    def _base(self):
        unsure("the base of a view")
        return self.base

    @property
    def data(self):
        """The same numbers without history, and with a version counter of their own."""
        unsure("`.data`")
        if pb_thread.level:
            _check_value_access(self, "data")
        cdef Tensor t = wrap(self.array)
        t.meta = self.meta
        if self.storage is not None and self.storage.mirrors is not None:
            t.storage = self.storage   # conjugate views see what is written
        return t

    @data.setter
    def data(self, value):
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        cdef Tensor t = <Tensor>value
        if not has_gradients(t.array) and self.requires:
            raise RuntimeError("data set to a tensor that requires gradients must be floating point or "
                               "complex dtype")
        set_memory(self, t.array)
        self.meta = t.meta

    @property
    def _array(self):
        """The payload, a NumPy array: for the ops and the backends."""
        if not stands_in(self):   # what does has none
            unsure("numbers")
        return self.array

    @property
    def _layout(self):
        """The payload for what asks of it no more than shape, strides and dtype."""
        return self.array

    def item(self):
        """The only element, as a Python number; RuntimeError if there are several."""
        cdef void* recorder = pb_thread.recorder
        if recorder != NULL and type(<object>recorder) is Listener and type(self) is Tensor and (
                pb_thread.level == 0 and PyArray_SIZE(self.array) == 1 and not self.meta):
            pb_thread.recorder = NULL
            try:
                value = self.item()
            finally:
                pb_thread.recorder = recorder
            (<Listener>recorder).tell_of_number(self, value)
            return value
        unsure("numbers")
        if pb_thread.level:
            _check_value_access(self, "item")
        cdef ndarray a = self.array
        if PyArray_SIZE(a) != 1:
            raise RuntimeError(f"a Tensor with {PyArray_SIZE(a)} elements cannot be converted to Scalar")
        if self.meta:
            raise RuntimeError("Tensor.item() cannot be called on meta tensors")
        if computed_in(code_of(a)) != code_of(a):
            a = cast_array(a, computed_in(code_of(a)))
        return (<object>a).item()

    def detach(self):
        """The same numbers outside the graph; memory and version counter are shared."""
        if type(self) is not Tensor or not unfollowed() or profiling:
            return dispatch_tuple(_detach, (self,), None)
        cdef ndarray a = self.array
        return view_tensor(_detach, self, view_of(a, code_of(a), PyArray_NDIM(a), PyArray_DIMS(a),
                                                  PyArray_STRIDES(a), 0))

    def requires_grad_(self, requires_grad=True):
        """Sets `requires_grad` and returns the tensor."""
        if requires_grad and not has_gradients(self.array):
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        if not requires_grad or self.grad_fn is None:
            self.requires_grad = bool(requires_grad)
        return self

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Adds the gradient of this scalar (or of <gradient, self>) to the `.grad` of the graph's leaves.

        `inputs` limits it to some tensors, `retain_graph` keeps what was saved for another pass, and
        `create_graph` records the pass itself so that it can be differentiated.

        >>> import pullback as torch
        >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([2., 4.])
        """
        if type(self) is not Tensor and overriding((self,)):
            return torch_function(Tensor.backward, (self,), (self,),
                                  dict(gradient=gradient, retain_graph=retain_graph,
                                       create_graph=create_graph, inputs=inputs))
        if gradient is None and inputs is None and not create_graph:
            backward_scalar(self, bool(retain_graph))
        else:
            _backward(self, gradient, retain_graph, create_graph, inputs)

    def register_hook(self, hook):
        """Calls `hook(grad)` when the gradient of this tensor is known; what it returns replaces it."""
        unsure("a hook")
        cdef int index = 0
        if not requires(self):
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        cdef Node node = history(self, &index)
        if node is None:   # a view that was made without a graph, of a leaf
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        return _register(hooks_of(node).tensor.setdefault(index, OrderedDict()), hook)

    def register_post_accumulate_grad_hook(self, hook):
        """Calls `hook(tensor)` after a backward pass has added to `.grad` of this leaf."""
        if not requires(self):
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self.grad_fn is not None:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        return _register(hooks_of(accumulator(self)).accumulated, hook)

    def retain_grad(self):
        """Keeps `.grad` for this tensor though it is no leaf."""
        unsure("a hook")
        cdef int index = 0
        if not requires(self):
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self.grad_fn is None or self.retains:
            return
        cdef Node node = history(self, &index)
        hooks_of(node).retained[index] = PyWeakref_NewRef(self, None)
        self.retains = True

    def is_inference(self):
        """Whether the tensor was made in inference mode."""
        unsure("inference mode")
        return self.inference

    def _is_view(self):
        unsure("the base of a view")
        return self.base is not None

    @property
    def __dict__(self):
        unsure("an attribute of the user's")
        return PyObject_GenericGetDict(self, NULL)

    @__dict__.setter
    def __dict__(self, value):
        PyObject_GenericSetDict(self, value, NULL)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """What a subclass overrides to take part in every op; the default makes results of its class."""
        doing = getattr(_function_state, "doing", None)
        if doing is not None and doing == func:  # PyTorch's functions ask again, although told not to
            raise mixture(func)
        with DisableTorchFunction(func):
            result = func(*args, **(kwargs or {}))
        return result if cls is Tensor else as_subclass(result, cls)


cdef _give_dict():
    cdef Tensor t = Tensor.__new__(Tensor)
    lazy_dict(<PyTypeObject*><PyObject*>Tensor, <char*>&t.attributes - <char*><PyObject*>t)


_give_dict()


cdef dict _protocols = {}   # Python's, which go by slots of the type: a change of its dict is not enough


def attach(dict members):
    """Puts methods and properties on Tensor. An extension type refuses setattr, its dict does not."""
    table = <dict>(<PyTypeObject*><PyObject*>Tensor).tp_dict
    for name, member in members.items():
        if name != "__getattr__":
            table[name] = member
        if name.startswith("__"):
            _protocols[name] = member
    # Slots find it. A subclass that saw it in the dict would read every attribute by way of Python.
    table.pop("__getattr__", None)
    PyType_Modified(<PyTypeObject*><PyObject*>Tensor)


class TensorType(type):
    """The class of Tensor, which finds methods that are declared late, and takes those that programs set."""

    def __setattr__(cls, name, value):
        set_on_type(<PyTypeObject*><PyObject*>cls, name, <PyObject*>value)

    def __delattr__(cls, name):
        set_on_type(<PyTypeObject*><PyObject*>cls, name, NULL)

    def __getattr__(cls, name):
        if name.startswith("__") or _complete is None:
            raise AttributeError(f"type object '{cls.__name__}' has no attribute '{name}'")
        if _complete():
            return getattr(cls, name)
        raise _absent(cls, name)


Py_INCREF(TensorType)
Py_SET_TYPE(<PyObject*>Tensor, <PyTypeObject*><PyObject*>TensorType)

cdef object _complete = None
cdef object _absent = None


def install_completion(complete, absent):
    """Hands over what declares the late methods (False if none are left), and the error for an absent one."""
    global _complete, _absent
    _complete, _absent = complete, absent


cdef object _construct = None


def install_constructor(function):
    """Hands over what `Tensor(...)` gets its payload from: a function of the arguments."""
    global _construct
    _construct = function


cdef int fill_new(object t, tuple args, PyObject* kwargs) except -1:
    (<Tensor>t).array = _construct(args, {} if kwargs == NULL else dict(<object>kwargs))
    return 0


install_new(Tensor, <void*>fill_new)


cdef Tensor wrap(ndarray a):
    """A new tensor around an array: no history, no gradient."""
    if profiling & NOTES_MEMORY:
        note_memory(a)
    return wrap_shared(a)


cdef inline Tensor wrap_shared(ndarray a):
    """The same around an array that another tensor has."""
    cdef Tensor t = Tensor.__new__(Tensor)
    t.array = a
    t.inference = pb_thread.inference
    return t


def conj(x):
    """The complex conjugate of a tensor or number; a real one is returned as it is."""
    if isinstance(x, Tensor):
        return _ops.conj_physical(x) if KIND[code_of((<Tensor>x).array)] == KIND_COMPLEX else x
    return x.conjugate() if isinstance(x, complex) else x


def from_array(a, bint requires_grad=False, bint meta=False):
    """A tensor around an array, whose memory it shares."""
    cdef Tensor t = wrap(a if isinstance(a, ndarray) else np.asarray(a))
    note_made(t)
    if meta:
        t.meta = True
    if requires_grad:
        t.requires_grad = True
    return t


def make_subclass(cls, Tensor data, bint requires_grad=False):
    """A tensor of class `cls` with the payload of `data`, a leaf."""
    cdef Tensor t = bare(cls)
    t.array, t.meta, t.storage = data.array, data.meta, storage(data)
    t.inference = pb_thread.inference
    if requires_grad:
        t.requires_grad = True
    return t


def stand_in(cls, level, Tensor physical not None):
    """A tensor of class `cls` that stands at a level for the rows of `physical`: one's shape, no numbers."""
    cdef Tensor t = bare(cls)
    t.array, t.meta, t.inference = first(physical.array), True, pb_thread.inference
    Py_INCREF(level)
    level_slot(t)[0] = <PyObject*>level
    Py_INCREF(physical)
    physical_slot(t)[0] = <PyObject*>physical
    return t


def stand_ins(cls):
    """Says which class the tensors that stand for others are of: it has the slots `level` and `physical`."""
    install_stand_in(cls)
    return cls


cdef object as_subclass(object x, cls):
    """Results of a subclass's op, in its class, history and all."""
    cdef Tensor t, source
    if type(x) is Tensor:
        source = <Tensor>x
        t = bare(cls)
        t.array, t.node, t.accumulator, t.storage, t.base = (
            source.array, source.node, source.accumulator, source.storage, source.base)
        t.output_index, t.attr_version, t.creation = source.output_index, source.attr_version, source.creation
        t.requires, t.meta, t.inference = source.requires, source.meta, source.inference
        t._grad = source._grad
        return t
    if isinstance(x, (tuple, list)) and not isinstance(x, Size):
        return type(x)([as_subclass(item, cls) for item in x])
    return x


def retype(x, cls):
    """`x` as a tensor of class `cls`, with its place in the graph."""
    return as_subclass(x if type(x) is Tensor else alias_of(x), cls)


cdef Tensor alias_of(Tensor x):
    cdef Tensor t = wrap_shared(x.array)
    t.node, t.output_index, t.requires, t.meta = x.node, x.output_index, x.requires, x.meta
    t.storage, t.base, t.accumulator = storage(x), x.base, x.accumulator
    t.attr_version, t.creation = x.attr_version, x.creation
    return t


cdef Tensor detached(Tensor x):
    cdef Tensor t = wrap_shared(x.array)
    t.storage = storage(x)
    t.meta = x.meta
    t.inference = x.inference
    return t


def _warn_non_leaf_grad():
    tell(
        "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute "
        "won't be populated during autograd.backward(). If you indeed want the .grad field to be populated "
        "for a non-leaf Tensor, use .retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor "
        "by mistake, make sure you access the leaf Tensor instead. See "
        "https://pytorch.org/docs/stable/generated/torch.Tensor.retain_grad.html for more information.")


cdef int tell(str message) except -1:
    """Warns of the line outside the package that led here."""
    from pullback.core.settings import warn_each_time
    warn_each_time(message)
    return 0


cdef _check_grad(Tensor t, value):
    if not isinstance(value, Tensor):
        raise TypeError("assigned grad expected to be a Tensor or None but got grad of type "
                        f"{type(value).__name__}")
    if value is t:
        raise RuntimeError("can't assign Variable as its own grad")
    cdef Tensor g = <Tensor>value
    if code_of(g.array) != code_of(t.array):
        raise RuntimeError(
            f"attempting to assign a gradient with dtype '{_scalar_name(code_of(g.array))}' to a tensor with "
            f"grad_dtype '{DTYPES[code_of(t.array)].type_name}'. The gradient must match the tensor's "
            "grad_dtype (defaults to the tensor's dtype). You can set the tensor's grad_dtype attribute with "
            "a specific dtype, or None to allow any dtype. Set grad_dtype with caution. Diverging the dtypes "
            "of a tensor and its gradient may break downstream systems that assume they match.")
    if g.meta != t.meta:
        raise RuntimeError(f"attempting to assign a gradient with device type '{g.device}' to a tensor with "
                           f"device type '{t.device}'. Please ensure that the gradient and the tensor are on "
                           "the same device")
    if (<object>g.array).shape != (<object>t.array).shape:
        raise RuntimeError(f"attempting to assign a gradient of size '{list(g.shape)}' to a tensor of size "
                           f"'{list(t.shape)}'. Please ensure that the gradient and the tensor are the same "
                           "size")


def _scalar_name(code):
    """The C++ name of a dtype, as some of PyTorch's messages have it."""
    name = DTYPES[code].type_name
    return {"Byte": "unsigned char", "Char": "signed char", "Long": "long", "Half": "c10::Half",
            "BFloat16": "c10::BFloat16", "ComplexFloat": "c10::complex<float>",
            "ComplexDouble": "c10::complex<double>"}.get(name, name.lower())
