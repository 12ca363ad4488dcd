# The record of an op, and the ways into it from Python.
#
# An `Op` is both: what is known of an op (its kernel, its rules, its flags), and the function that users
# call. `pullback/core/op.py` makes it from a declaration. Read the fields of `Op`, then `vjp`, `_rule` and
# `_save`: the names of a rule's parameters say what a node must save. A call comes in at `call_op`, by
# vectorcall: `bind` where there are keywords or defaults, else straight to `dispatch` (dispatch.pxi).
#
# `Function` stands around what is no op (a composite of ops), or around an op where a method writes in place.
# `BoundOp` is either as a method of one tensor.
#
# From other parts: conj, Tensor (tensor.pxi); refusing (pointwise.pxi); dispatch, dispatch_tuple,
# may_override, not_a_number, number_in, overriding, torch_function, DEEPEST (dispatch.pxi); view_arrays
# (inplace.pxi); clear (fills.pxi); way_of (quick.pxi); by_tape, may_tape (tapes.pxi); begins_here,
# is_noted, profiled_call, profiling (events.pxi); unfollowed (gradients.pxi); goes_to_cpu, use_vectorcall
# (_engine.pyx).

cdef enum:
    MOST_CLEARED = 1 << 23   # bytes of zeros that are written

REQUIRED = type("REQUIRED", (), {"__repr__": lambda self: "REQUIRED"})()
IN_PLACE = type("IN_PLACE", (), {"__repr__": lambda self: "IN_PLACE"})()

cdef object _REQUIRED = REQUIRED
cdef object _IN_PLACE = IN_PLACE

cdef enum:
    MAX_SAVED = 20
    MAX_PARAMS = 24
    FROM_G = -1        # a rule's parameter `g`: the gradient of the one output
    FROM_NEEDS = -2    # `needs`: a tuple of bools, which inputs want a gradient
    FROM_GRADS = -3    # `grads`: the gradients of all outputs, None where there is none
    FROM_NODE = -4     # `node`: the node itself
    FROM_G_INDEX = -10 # `g0`, `g1`, ...: -10, -11, ...

cdef enum SavedKind:
    SAVE_PARAM, SAVE_TENSOR, SAVE_SHAPE, SAVE_DTYPE, SAVE_RESULT, SAVE_RESULTS

cdef enum Promotion:
    PROMOTE_SAME, PROMOTE_FLOAT, PROMOTE_NONE


# Of a rule, a composite, or an op at a level: signatures with a tape, and without, see tapes.pxi.
cdef struct Tally:
    int recorded, refused


def _times_conj(g, factor):
    return g * conj(factor)


@cython.final
cdef class Rule:
    """One derivative rule: a function, and where each of its parameters comes from.

    Two rules have no function of their own: the strings "g", and "g * conj(x)" of an input x.
    """

    cdef readonly object function
    cdef readonly object written   # as the op was declared with it: a function or a string
    cdef readonly tuple names
    cdef int count
    cdef int source[MAX_PARAMS]
    cdef bint passes            # the gradient is `g` itself: no call
    cdef readonly bint product  # it is `g` times the conjugate of what source[1] says: no call either
    cdef bint sees_node         # it is given the node: more than its values
    cdef Tally tally


cdef class Op:
    # The record of an op, and the function that users call. (A comment: `__doc__` is the op's own.)
    # `kernel` takes arrays (and the static parameters) in the order of `params` and returns an array or
    # a tuple of arrays. `kinds` has a letter for each parameter: T a tensor (N: or a number), O a tensor
    # or None, L a list of tensors, S a size that may be given as separate ints, `.` anything else.
    # That of a `view` is a `prepare`: it takes Specs and returns the Spec, or Specs, of what is seen. One
    # with a `lookup` ("index", "select" or "slice") is found in C (core/_views.pyx) for plain arguments.
    # A kernel that `writes` does so into its first array, which is a copy, in the order "C" or "K"
    # that `writes` says, unless the op is in place.
    # Elementwise ops take floats of eight bits where `allowed` has an "e", others where they only move. With
    # an "h" there ops of both sorts take complex32.
    # Beside a half precision numbers are rounded to it before anything is computed, except those of an op
    # with `wide_numbers`, from the second input on: they stay float32.
    # One that `takes_half` gets the half precisions as they are, since it has a dtype of its own to obey.
    # One that `chooses` is elementwise, and its first input a bool, whatever the dtype of the others.
    # `symbol` is the operator's behind it, as errors of unsupported operands show it. `shown_as` gives
    # PyTorch's names of saved values, where they differ: {"other": "exponent"}.
    # One that `casts_out` writes to an `out=` of another dtype, as elementwise ones do unless they say that
    # they do not; others refuse it. Of one that `indexes`, results may not be written over any input. One
    # that is given what is said of it for `expanded` tensors may write to them; it warns if it is not empty.
    # For transforms: `batch` names a general batching rule (transforms/batching/rules.py); of `all_dims`, no
    # dim means all of them; one that `overwrites` forgets its first input; `factors` are the two parameters
    # of which it is the matrix product; `piecewise` says that it is piecewise linear in its tensors, and
    # `series_rule` pushes power series through it (ops/shared/series.py).
    # A `flat_slope` is constant by pieces, but part of the graph where a pass is recorded: its derivative is
    # zero, and not unknown. It is True, the name of the node that says so, or a function of the static
    # parameters that a node saved, which says either: NOTE [Flat slopes] in rules.pxi.

    cdef readonly str name            # unique, snake_case
    cdef public str __name__          # what users call it
    cdef public object doc
    cdef readonly object kernel
    cdef readonly tuple params
    cdef readonly tuple defaults
    cdef readonly str kinds
    cdef public str grad_name         # "MulBackward0"
    cdef readonly str written_name    # that of a node whose op wrote into its first input, None if the same
    cdef object name_rule             # see `variant`
    cdef readonly bint elementwise, linear, multilinear, view, multi_view, nondiff, moves, random
    cdef readonly bint takes_half, all_dims, overwrites, piecewise, chooses, wide_numbers, casts_out
    cdef readonly bint indexes
    cdef readonly tuple factors
    cdef readonly object series_rule, flat_slope, expanded
    cdef bint swapped                 # the loop takes the second input first: the op of a reflected operator
    cdef readonly str symbol
    cdef readonly dict shown_as
    cdef readonly str writes          # the order of the copy that a writing kernel gets, or None
    cdef readonly str layout          # of new results: "C" contiguous, "K" as the inputs, "" as made, "F" in
                                      # the memory format of the inputs
    cdef bint formats                 # that is "F"
    cdef public object jvp_rule, meta_rule, prepare_rule
    cdef readonly object batch_rule   # a function, the name of a general rule, or None where one is derived
    cdef readonly list rules          # one Rule or None for each tensor parameter
    cdef readonly Rule joint          # one Rule for all
    cdef Loops loops
    cdef str loops_name               # a ufunc's name, resolved at first use
    cdef Lookup lookup
    cdef int promotion
    cdef unsigned int allowed         # bit mask of dtype codes
    cdef unsigned int direct          # dtype codes whose loop may be called; the others go to the kernel
    cdef object refuse
    cdef public tuple forms           # functions with the signatures of its calls, itself if empty: what
                                      # comes first is then to be a tensor, or it is refused in their words
    cdef public bint number_first     # one of its forms begins with a number
    cdef public object rescue         # as a Function's
    cdef public object check_bools    # called with the operands if one of them is a bool; may raise
    cdef int nparams, ntensors, size_param, first_required
    cdef int tensor_params[MAX_PARAMS]
    cdef char asked[MAX_PARAMS]       # the kinds of those that are to be tensors, else 0
    cdef int nsaved
    cdef int saved_kind[MAX_SAVED]
    cdef int saved_param[MAX_SAVED]
    cdef unsigned int saved_mask[MAX_SAVED]
    cdef list saved_names
    cdef Tally tally
    cdef void* vectorcall             # Python calls ops by this: no tuple, no dict, no bound method

    def __init__(self, str name, kernel, tuple params, tuple defaults, str kinds, *, str public_name=None,
                 str grad_name=None, str written_name=None, loop=None, str promote="same",
                 object allowed=None, object refuse=None, str loops_for="biufc",
                 bint elementwise=False, bint linear=False, bint multilinear=False, bint view=False,
                 bint multi_view=False, bint nondiff=False, bint moves=False, str writes=None,
                 bint random=False, bint takes_half=False, bint swapped=False, str layout=None,
                 str symbol=None, dict shown_as=None, doc=None, str batch=None, bint all_dims=False,
                 bint overwrites=False, bint piecewise=False, str factors="",
                 object series=None, str lookup="plan", bint chooses=False, bint wide_numbers=False,
                 object flat_slope=None, object casts_out=None, str expanded=None):
        self.vectorcall = <void*>call_op
        self.name = name
        self.__name__ = public_name or name
        self.doc = doc
        self.kernel = kernel
        self.params, self.defaults, self.kinds = params, defaults, kinds
        self.nparams = len(params)
        if self.nparams > (MAX_IN if elementwise else MAX_PARAMS):
            raise TypeError(f"op {name} has too many parameters: {self.nparams}")
        self.written_name = written_name
        self.grad_name = grad_name or _camel(name) + "Backward0"
        self.elementwise, self.linear, self.multilinear = elementwise, linear, multilinear
        self.view, self.multi_view, self.nondiff = view or multi_view, multi_view, nondiff
        self.prepare_rule = kernel if self.view else None
        self.lookup = {"plan": BY_PLAN, "index": BY_INDEX, "select": BY_SELECT, "slice": BY_SLICE}[lookup]
        self.moves, self.random = moves or writes is not None or view or multi_view, random
        self.writes = writes
        self.takes_half = takes_half or self.moves
        self.wide_numbers = wide_numbers
        self.swapped = swapped
        self.symbol, self.shown_as = symbol, shown_as or {}
        self.batch_rule = batch
        self.all_dims, self.overwrites, self.piecewise = all_dims, overwrites, piecewise
        self.chooses = chooses
        self.factors = tuple(factors.split())
        self.series_rule = series
        self.flat_slope = flat_slope
        self.casts_out, self.expanded = elementwise if casts_out is None else casts_out, expanded
        self.indexes = name == "cat" or "index" in params or "indices" in params
        self.layout = layout if layout is not None else "" if elementwise or self.moves else "C"
        self.formats = self.layout == "F"
        self.promotion = {"same": PROMOTE_SAME, "float": PROMOTE_FLOAT, "none": PROMOTE_NONE}[promote]
        self.allowed = 0
        for d in DTYPES:
            if d.letter in (allowed or "bifc") or (d.kind == "u" and "i" in (allowed or "i")):
                self.allowed |= 1u << <int>d.code
        self.refuse = refuse
        self.direct = 0
        for d in DTYPES:
            if d.kind in loops_for:
                self.direct |= 1u << <int>d.code
        self.size_param = kinds.find("S")
        self.ntensors = 0
        self.rules = []
        self.saved_names = []
        cdef int i
        for i in range(self.nparams):
            if kinds[i] in "TNOL":
                self.asked[i] = <char>ord(kinds[i])
                self.tensor_params[self.ntensors] = i
                self.ntensors += 1
                self.rules.append(None)
        self.loops = None
        self.loops_name = None
        if isinstance(loop, str):
            self.loops_name = loop
        elif loop is not None:
            self.loops = Loops(loop, not self.takes_half, chooses)

    @property
    def __doc__(self):
        return self.doc

    @property
    def __signature__(self):
        return _signature_of(self)

    @property
    def ufunc(self):
        """NumPy's or SciPy's function behind an elementwise op, None if the kernel is our own."""
        self._resolve()
        return None if self.loops is None else self.loops.ufunc

    cdef int _resolve(self) except -1:
        if self.loops is None and self.loops_name is not None:
            module, _, attribute = self.loops_name.partition(":")
            self.loops = Loops(getattr(__import__(module, fromlist=["_"]), attribute), not self.takes_half,
                               self.chooses)
        return 0

    def vjp(self, **rules):
        """Sets the derivative with respect to each named input: a function, or "g" for g itself."""
        for name, function in rules.items():
            place = self._tensor_index(name)
            self.rules[place] = self._rule(function, 1u << <unsigned int>place)
        return self

    def joint_vjp(self, function):
        """Sets one rule that gives the gradients of all tensor inputs, as a tuple. A decorator."""
        self.joint = self._rule(function, 0xFFFFFFFF)
        return function

    def jvp(self, function):
        """Sets an explicit forward-mode rule, where none follows from the flags. A decorator."""
        self.jvp_rule = function
        return function

    def batch(self, function):
        """Sets an explicit batching rule, where none follows from the flags. A decorator."""
        if self.batch_rule is not None:
            raise TypeError(f"op {self.name} has a batching rule already")
        self.batch_rule = function
        return function

    def meta(self, function):
        """Sets a rule of shapes and dtypes: the kernel without its arithmetic. A decorator."""
        self.meta_rule = function
        return function

    def prepare(self, function):
        """Sets what makes a `Plan` of the arguments, tensors as `Spec`s. A decorator."""
        self.prepare_rule = function if self.moves else refusing(self, function)
        return function

    @property
    def variant(self):
        """How a node gets its name, where it is not `grad_name`.

        It is the name of the static parameter that has it, or a function of those that the node saved, of
        `written`, whether it was made by writing into the first input, and of `numbers`, the names of the
        inputs that were given as numbers.
        """
        return self.name_rule

    @variant.setter
    def variant(self, rule):
        if isinstance(rule, str):
            self._save(rule, 0xFFFFFFFF)
        self.name_rule = rule

    @property
    def has_vjp(self):
        return self.joint is not None or any(rule is not None for rule in self.rules)

    @property
    def differentiable_inputs(self):
        """Names of the inputs with a derivative."""
        return tuple(self.params[self.tensor_params[i]] for i in range(self.ntensors)
                     if self.joint is not None or self.rules[i] is not None)

    cdef int _tensor_index(self, str name) except -1:
        cdef int i
        for i in range(self.ntensors):
            if self.params[self.tensor_params[i]] == name:
                return i
        raise TypeError(f"op {self.name} has no tensor parameter '{name}'")

    cdef Rule _rule(self, function, unsigned int mask):
        cdef Rule rule = Rule.__new__(Rule)
        cdef int i
        rule.function = rule.written = function
        if function == "g":
            rule.passes = True
            rule.names = ("g",)
            rule.source[0] = FROM_G
            return rule
        if isinstance(function, str):
            factor = function.removeprefix("g * conj(").removesuffix(")")
            rule.function, rule.names, rule.count = _times_conj, ("g", factor), 2
            rule.product, rule.source[0], rule.source[1] = True, FROM_G, self._save(factor, mask)
            return rule
        code = function.__code__
        rule.names = tuple(code.co_varnames[:code.co_argcount])
        rule.count = len(rule.names)
        special = {"g": FROM_G, "needs": FROM_NEEDS, "grads": FROM_GRADS, "node": FROM_NODE}
        for i, name in enumerate(rule.names):
            if name in special:
                rule.source[i] = special[name]
                rule.sees_node = rule.sees_node or name == "node"
            elif name[0] == "g" and name[1:].isdigit():
                rule.source[i] = FROM_G_INDEX - int(name[1:])
            else:
                rule.source[i] = self._save(name, mask)
        return rule

    cdef int _save(self, str name, unsigned int mask) except -1:
        """The place in `saved` of what a rule calls by this name."""
        cdef int place
        if name in self.saved_names:
            place = self.saved_names.index(name)
            self.saved_mask[place] |= mask
            return place
        place = self.nsaved
        if name == "result":
            self.saved_kind[place], self.saved_param[place] = SAVE_RESULT, 0
        elif name == "results":
            self.saved_kind[place], self.saved_param[place] = SAVE_RESULTS, 0
        elif name.startswith("result") and name[6:].isdigit():
            self.saved_kind[place], self.saved_param[place] = SAVE_RESULT, int(name[6:])
        elif name in self.params:
            i = self.params.index(name)
            self.saved_kind[place] = SAVE_TENSOR if self.kinds[i] in "TNOL" else SAVE_PARAM
            self.saved_param[place] = i
        elif name.endswith("_shape"):
            self.saved_kind[place], self.saved_param[place] = SAVE_SHAPE, self.params.index(name[:-6])
        elif name.endswith("_dtype"):
            self.saved_kind[place], self.saved_param[place] = SAVE_DTYPE, self.params.index(name[:-6])
        else:
            raise TypeError(f"a rule of op {self.name} asks for '{name}', which it has not")
        self.saved_mask[place] = mask
        self.saved_names.append(name)
        self.nsaved += 1
        return place

    def seen(self, ndarray a not None, *args):
        """What a view op shows of an array: a view, or a tuple of several."""
        return self.seen_by(a, args)

    cdef object seen_by(self, ndarray a, tuple args):
        cdef PyObject* values[MAX_PARAMS]
        cdef int i
        values[0] = <PyObject*>a
        for i in range(1, self.nparams):
            values[i] = PyTuple_GET_ITEM(args if i <= len(args) else self.defaults, i - (i <= len(args)))
        return view_arrays(self, a, values)

    def unseen(self, ndarray part not None, tuple shape, tuple args):
        """A new array of zeros that shows `part` to this view op."""
        cdef npy_intp dims[64]
        cdef npy_intp size = PyArray_ITEMSIZE(part)
        cdef ndarray whole
        cdef int d
        for d in range(len(shape)):
            dims[d] = shape[d]
            size *= dims[d]
        if size > MOST_CLEARED:   # of which little may be written: the system has pages of zeros
            whole = np.zeros(shape, (<object>part).dtype)
        else:
            whole = empty(len(shape), dims, code_of(part))
            clear(whole)
        PyArray_CopyInto(<ndarray>self.seen_by(whole, args), part)
        return whole

    def __get__(self, instance, owner):
        return self if instance is None else bound_to(self, instance)

    cdef Py_ssize_t place_of(self, PyObject* name):
        """The place of a parameter that a keyword names, -1 if none has this very string or alias."""
        cdef Py_ssize_t i
        for i in range(self.nparams):
            if PyTuple_GET_ITEM(self.params, i) == name:
                return i
        other = ALIASES.get(<object>name)
        return self.params.index(other) if other in self.params else -1

    def bind(self, tuple args, dict kwargs):
        """The arguments in the order of `params`, defaults filled in; TypeError in PyTorch's words."""
        cdef Py_ssize_t given = len(args), i, n = self.nparams
        cdef list bound = list(self.defaults)
        if self.size_param >= 0 and given > self.size_param and (
                isinstance(args[self.size_param], (int, Tensor))):
            if given > self.size_param + 1 or not isinstance(args[self.size_param], (tuple, list)):
                args = args[:self.size_param] + (args[self.size_param:],)
                given = len(args)
        if given > n:
            raise TypeError(f"{self.__name__}() takes {n} positional argument{'s' if n != 1 else ''} "
                            f"but {given} were given")
        for i in range(given):
            bound[i] = args[i]
        for name, value in kwargs.items():
            name = ALIASES.get(name, name)
            if name not in self.params:
                raise TypeError(f"{self.__name__}() got an unexpected keyword argument '{name}'")
            i = self.params.index(name)
            if i < given:
                raise TypeError(f"{self.__name__}() got multiple values for argument '{name}'")
            bound[i] = value
        for i in range(n):
            if bound[i] is _REQUIRED:
                missing = [f'"{_shown(p)}"' for j, p in enumerate(self.params) if bound[j] is _REQUIRED]
                raise TypeError(f"{self.__name__}() missing {len(missing)} required positional "
                                f"argument{'s' if len(missing) != 1 else ''}: {', '.join(missing)}")
        return tuple(bound)

    def inplace(self, *args, **kwargs):
        """The op with its result written into the first input: what `x.name_()` calls."""
        return dispatch_tuple(self, self.bind(args, kwargs), _IN_PLACE)

    def __repr__(self):
        return f"<op {self.name}>"

    def __reduce__(self):
        return _find_op, (self.name,)


cdef object _OUT = sys.intern("out")


cdef object call_op(object callee, PyObject** args, size_t nargsf, PyObject* names):
    """An op called from Python, by the protocol that hands over plain pointers."""
    cdef Op op = <Op>callee
    cdef Py_ssize_t given = PyVectorcall_NARGS(nargsf)
    if op.rescue is not None:
        try:
            return call_bound(op, args, given, names, None)
        except TypeError:
            value = op.rescue(as_tuple(args, given), _keywords(args + given, names))
            if value is NotImplemented:
                raise
            return value
    if op.forms is not None and given and type(<object>args[0]) is not Tensor:
        check_first(op, op.number_first, args, given, names)
    return call_bound(op, args, given, names, None)


cdef object call_bound(Op op, PyObject** args, Py_ssize_t given, PyObject* names, object out):
    """An op on arguments that are not bound yet: without a tuple or a dict, unless something is wrong."""
    cdef PyObject* argv[MAX_PARAMS]
    cdef PyObject* value
    cdef PyObject* name
    cdef Py_ssize_t i, k, n = op.nparams, taken = given
    cdef object keep = None
    if names == NULL and given == n and op.size_param < 0:
        return dispatch(op, args, out)
    if op.size_param >= 0 and given > op.size_param:
        if type(<object>args[op.size_param]) is int:
            keep = as_tuple(args + op.size_param, given - op.size_param)
            taken = op.size_param + 1
        elif given > op.size_param + 1 or not isinstance(<object>args[op.size_param], (tuple, list)):
            taken = n + 1
    if taken <= n:
        for i in range(taken):
            argv[i] = args[i]
        if keep is not None:
            argv[op.size_param] = <PyObject*>keep
        for i in range(taken, n):
            argv[i] = PyTuple_GET_ITEM(op.defaults, i)
        for k in range(0 if names == NULL else PyTuple_GET_SIZE(<object>names)):
            name = PyTuple_GET_ITEM(<object>names, k)
            value = args[given + k]
            if name == <PyObject*>_OUT and out is None:
                out = <object>value
                continue
            i = op.place_of(name)
            if i < taken or argv[i] != PyTuple_GET_ITEM(op.defaults, i):
                break   # unknown, or given twice
            argv[i] = value
        else:
            for i in range(taken, n):
                if argv[i] == <PyObject*>_REQUIRED:
                    break
            else:
                return dispatch(op, argv, out)
    keywords = _keywords(args + given, names)
    if out is not _IN_PLACE:
        out = keywords.pop("out", None)
    return dispatch_tuple(op, op.bind(as_tuple(args, given), keywords), out)


cdef object _explain = None
cdef object _explain_types = None


def install_explain(function, types):
    """Hands over what says, for a function, args and kwargs, why no form of it fits: None if one does.

    `types` says which argument is of a wrong type.
    """
    global _explain, _explain_types
    _explain, _explain_types = function, types


cdef int check_first(object function, bint number_first, PyObject** args, Py_ssize_t given,
                     PyObject* names) except -1:
    """TypeError where what comes first is no tensor and no form wants a number there."""
    if isinstance(<object>args[0], Tensor):
        return 0
    if number_first and given > 1 and isinstance(<object>args[1], Tensor):
        return 0
    message = _explain(function, as_tuple(args, given), _keywords(args + given, names))
    if message is not None:
        raise TypeError(message)
    return 0


cdef tuple as_tuple(PyObject** argv, Py_ssize_t n):
    cdef tuple found = PyTuple_New(n)
    cdef Py_ssize_t i
    for i in range(n):
        Py_INCREF(<object>argv[i])
        PyTuple_SET_ITEM(found, i, <object>argv[i])
    return found


ALIASES = {"input": "self", "axis": "dim", "keepdims": "keepdim", "x1": "self", "x2": "other", "x": "self",
           "a": "self", "axis0": "dim0", "axis1": "dim1"}
"""Keyword names that PyTorch accepts for ours: its own `input`, and NumPy's."""

REGISTRY = {}
"""All ops by name."""


def _find_op(name):
    return REGISTRY[name]


cdef object _signature_of(object function):
    from pullback.core.signatures import signature_of
    return signature_of(function)


cdef str _camel(str name):
    return "".join(part.capitalize() for part in name.split("_"))


cdef str _shown(str name):
    return "input" if name == "self" else name


cdef class Function

ctypedef object (*quick_t)(Function function, PyObject** args, Py_ssize_t given, PyObject* names)


@cython.final
cdef class Function:
    """A public function or method around an op or a composite: a point of dispatch, and of good errors.

    Where an argument overrides `__torch_function__`, its class is asked first. With `in_place` the result is
    written into the first argument. `rescue(args, kwargs)` is called after a TypeError: it explains it, by an
    error of its own or the call put right, or returns NotImplemented.
    """

    cdef void* vectorcall
    cdef readonly object __wrapped__
    cdef readonly bint in_place
    cdef public object rescue, __name__
    cdef public tuple forms           # as an op's
    cdef public bint number_first
    cdef quick_t quick                # a way for plain arguments, which is tried first: see quick.pxi
    cdef object fill                  # what that puts into a new tensor: a number, or a function of its
    cdef tuple fill_arguments         # array and of these
    cdef public object around         # a function of this, its arguments and keywords, for calls at a level
    cdef public bint converts         # what it is given is data: classes of other libraries are not asked
    cdef bint composite               # it is a Python function of ops, not an op
    cdef dict whole                   # of a composite, its parameters that are integers, with their places
    cdef unsigned int whole_places    # the same as a mask
    cdef Tally tally
    cdef object doc
    cdef dict __dict__                # what programs note on a function

    def __init__(self, function, str name, bint in_place=False, rescue=None, doc=None):
        self.vectorcall = <void*>call_function
        self.__wrapped__ = function
        self.in_place, self.rescue = in_place, rescue
        self.composite = type(function) is FunctionType
        if self.composite:
            self.whole = _whole(function)
            for place in self.whole.values():
                self.whole_places |= 1u << <unsigned int>place
        self.__name__ = name
        self.doc = doc

    def quickly(self, str way, fill=None, *arguments):
        """Gives it one of the quick ways of quick.pxi."""
        self.quick, self.fill, self.fill_arguments = way_of(way), fill, arguments

    @property
    def __doc__(self):
        return self.__wrapped__.__doc__ if self.doc is None else self.doc

    @property
    def __signature__(self):
        return _signature_of(self)

    def __getattr__(self, name):
        if name == "__qualname__":
            return self.__name__
        raise AttributeError(f"'function' object has no attribute '{name}'")

    def __get__(self, instance, owner):
        return self if instance is None else bound_to(self, instance)

    def __repr__(self):
        return f"<function {self.__name__}>"

    def __reduce__(self):
        return _find_function, (self.__name__,)


def _find_function(name):
    module = __import__("pullback")
    return getattr(module, name, None) or getattr(Tensor, name)


cdef object call_function(object callee, PyObject** args, size_t nargsf, PyObject* names):
    cdef Function function = <Function>callee
    cdef Py_ssize_t given = PyVectorcall_NARGS(nargsf), i
    cdef object value
    if profiling and is_noted(function) and begins_here():
        return profiled_call(function, args, nargsf, names)
    if function.quick != NULL and unfollowed() and goes_to_cpu():
        value = function.quick(function, args, given, names)
        if value is not None:
            return value
    if function.around is not None and pb_thread.level:
        value = function.around(function, as_tuple(args, given), _keywords(args + given, names))
        if value is not NotImplemented:
            return value
    if function.forms is not None and given and type(<object>args[0]) is not Tensor:
        check_first(function, function.number_first, args, given, names)
    if function.whole_places and has_tensor_for_int(function, args, given, names):
        return call_with_ints(function, args, given, names)
    for i in range(given + (0 if names == NULL else PyTuple_GET_SIZE(<object>names))):
        if not function.converts and may_override(<object>args[i], DEEPEST) and (
                overriding((<object>args[i],)) is not None):
            operands = as_tuple(args, given)
            keywords = _keywords(args + given, names)
            return torch_function(function, operands + tuple(keywords.values()), operands, keywords)
    try:
        return call_in_place(function, args, given, names) if function.in_place else (
            call_wrapped(function, args, nargsf, names))
    except Exception as error:
        operands, keywords = as_tuple(args, given), _keywords(args + given, names)
        value = NotImplemented
        if isinstance(error, TypeError):
            if names != NULL and function.composite:
                value = call_by_our_names(function, operands, keywords)
            if value is NotImplemented and function.rescue is not None:
                value = function.rescue(operands, keywords)
        if value is NotImplemented:
            if _explain_types is not None and not isinstance(error, Warning):
                message = _explain_types(function, operands, keywords)
                if message is not None:   # types are looked at first, but only where something went wrong
                    raise TypeError(message) from None
            raise
        return value


cdef dict _whole(function):
    """The parameters of a Python function that are integers, and their places."""
    code, notes = function.__code__, function.__annotations__
    names = code.co_varnames[:code.co_argcount + code.co_kwonlyargcount]
    return {name: place for place, name in enumerate(names)
            if place and str(notes.get(name)).removesuffix(" | None") == "int"}


cdef bint has_tensor_for_int(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """Whether a tensor is given for a parameter that is an integer."""
    cdef Py_ssize_t i
    for i in range(1, given):
        if type(<object>args[i]) is Tensor and function.whole_places >> <unsigned int>i & 1:
            return True
    for i in range(0 if names == NULL else PyTuple_GET_SIZE(<object>names)):
        if type(<object>args[given + i]) is Tensor and (
                <object>PyTuple_GET_ITEM(<object>names, i) in function.whole):
            return True
    return False


cdef object call_with_ints(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """A composite with integers for such tensors: what is computed with them is no tensor's arithmetic."""
    cdef list operands = list(as_tuple(args, given))
    cdef dict keywords = _keywords(args + given, names)
    for name, place in function.whole.items():
        if place < given and type(operands[place]) is Tensor:
            operands[place] = int_in(function, name, place, <Tensor>operands[place])
        if type(keywords.get(name)) is Tensor:
            keywords[name] = int_in(function, name, -1, <Tensor>keywords[name])
    return function(*operands, **keywords)


cdef object int_in(Function function, str name, Py_ssize_t place, Tensor x):
    """The integer in a tensor that is given for one; TypeError if there is none."""
    number = number_in(x, "int")
    if number is None:
        raise not_a_number(function.__name__, name, place, "int")
    return number


cdef object call_in_place(Function function, PyObject** args, Py_ssize_t given, PyObject* names):
    """What a Function stands around, with the result written into the first argument."""
    cdef PyObject* argv[MAX_PARAMS]
    cdef Py_ssize_t i
    if type(function.__wrapped__) is Op:
        return call_bound(<Op>function.__wrapped__, args, given, names, _IN_PLACE)
    if names == NULL and given < MAX_PARAMS:
        for i in range(given):
            argv[i] = args[i]
        argv[given] = <PyObject*>_IN_PLACE
        return call_wrapped(function, argv, given, <PyObject*>_ONLY_OUT)
    return function.__wrapped__(*as_tuple(args, given), out=_IN_PLACE, **_keywords(args + given, names))


cdef object call_by_our_names(Function function, tuple args, dict keywords):
    """A composite that was called by NumPy's names of its arguments; NotImplemented if that is not so."""
    code = function.__wrapped__.__code__
    known = code.co_varnames[:code.co_argcount + code.co_kwonlyargcount]
    renamed = {}
    for name, value in keywords.items():
        if name not in known:
            name = ALIASES.get(name, name)
            name = "input" if name == "self" and "input" in known else name
        renamed[name] = value
    if len(renamed) < len(keywords) or renamed.keys() == keywords.keys() or not set(known) >= renamed.keys():
        return NotImplemented
    if function.in_place:
        renamed["out"] = _IN_PLACE
    return function.__wrapped__(*args, **renamed)


cdef inline object call_wrapped(Function function, PyObject** args, size_t nargsf, PyObject* names):
    """What a Function stands around; a composite by its tape, if it has one."""
    if not function.composite and type(function.__wrapped__) is Op:
        return call_op(function.__wrapped__, args, nargsf, names)
    if function.composite and PyVectorcall_NARGS(nargsf) and may_tape(&function.tally) and (
            isinstance(<object>args[0], (Tensor, list, tuple))):
        return by_tape(function.__wrapped__, &function.tally, False, args, nargsf, names)
    return PyObject_Vectorcall(function.__wrapped__, args, nargsf, names)


cdef object _REQUIRES = sys.intern("requires_grad")
cdef tuple _ONLY_OUT = (_OUT,)


cdef dict _keywords(PyObject** values, PyObject* names):
    cdef dict found = {}
    if names != NULL:
        for i, name in enumerate(<tuple>names):
            found[name] = <object>values[i]
    return found


@cython.final
@cython.freelist(16)
cdef class BoundOp:
    """An op or function as a method of one tensor: `x.sum`."""

    cdef void* vectorcall
    cdef readonly object __func__
    cdef readonly object __self__

    cdef int check_takes(self, PyObject** args, Py_ssize_t given, PyObject* names) except -1:
        """TypeError for arguments to a method that has none."""
        cdef object op = self.__func__
        if type(op) is Function and (<Function>op).in_place:
            op = (<Function>op).__wrapped__
        if type(op) is not Op or (<Op>op).nparams > 1 or (names != NULL and _OUT in <tuple>names):
            return 0
        name = f"TensorBase.{self.__func__.__name__}()"
        if names != NULL:
            raise TypeError(f"{name} takes no keyword arguments")
        raise TypeError(f"{name} takes no arguments ({given} given)")

    @property
    def __name__(self):
        return self.__func__.__name__

    @property
    def __doc__(self):
        return self.__func__.__doc__

    @property
    def __signature__(self):
        signature = _signature_of(self.__func__)
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    def __repr__(self):
        return f"<method {self.__func__.__name__} of Tensor>"

    def __eq__(self, other):
        return type(other) is BoundOp and self.__func__ is other.__func__ and self.__self__ is other.__self__

    def __hash__(self):
        return hash((id(self.__func__), id(self.__self__)))

    def __reduce__(self):
        return getattr, (self.__self__, self.__func__.__name__)


cdef BoundOp bound_to(object function, object instance):
    cdef BoundOp bound = BoundOp.__new__(BoundOp)
    bound.vectorcall = <void*>call_method
    bound.__func__, bound.__self__ = function, instance
    return bound


cdef object call_method(object callee, PyObject** args, size_t nargsf, PyObject* names):
    """A method that was looked up: its function, with the tensor in front."""
    cdef BoundOp bound = <BoundOp>callee
    cdef Py_ssize_t i, given = PyVectorcall_NARGS(nargsf), count = given
    cdef PyObject* few[MAX_PARAMS]
    cdef PyObject** argv = few
    cdef PyObject* before
    if names != NULL:
        count += PyTuple_GET_SIZE(<object>names)
    if count:
        bound.check_takes(args, given, names)
    if nargsf != <size_t>given:   # the caller lends the place in front
        before = args[-1]
        args[-1] = <PyObject*>bound.__self__
        try:
            return PyObject_Vectorcall(bound.__func__, args - 1, given + 1, names)
        finally:
            args[-1] = before
    if count >= MAX_PARAMS:
        return bound.__func__(bound.__self__, *as_tuple(args, given), **_keywords(args + given, names))
    few[0] = <PyObject*>bound.__self__
    for i in range(count):
        few[i + 1] = args[i]
    return PyObject_Vectorcall(bound.__func__, few, given + 1, names)


cdef _call_by_vector():
    cdef Op op = Op.__new__(Op)
    use_vectorcall(Op, <char*>&op.vectorcall - <char*><PyObject*>op, True)
    cdef Function function = Function.__new__(Function)
    use_vectorcall(Function, <char*>&function.vectorcall - <char*><PyObject*>function, True)
    cdef BoundOp bound = BoundOp.__new__(BoundOp)
    use_vectorcall(BoundOp, <char*>&bound.vectorcall - <char*><PyObject*>bound, False)


_call_by_vector()
