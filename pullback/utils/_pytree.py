"""Pytrees: nested tuples, lists, dicts and registered classes, taken apart into leaves and put together.

`tree_flatten` gives the leaves in order and a `TreeSpec` that remembers the shape; `tree_unflatten`
is its opposite. A node type is known by its `NodeDef` in SUPPORTED_NODES; what has none is a leaf.
`None` is a leaf, as in PyTorch.
"""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

# Names beginning with an underscore are here as well: packages ask for them.
from pullback.utils._pytree_nodes import (  # noqa: F401
    BUILTIN_TYPES,
    CONSTANT_NODES,
    STANDARD_DICT_TYPES,
    SUPPORTED_NODES,
    ConstantNode,
    GetAttrKey,
    KeyEntry,
    MappingKey,
    NodeDef,
    SequenceKey,
    _defaultdict_deserialize,
    _defaultdict_flatten,
    _defaultdict_flatten_with_keys,
    _defaultdict_serialize,
    _defaultdict_unflatten,
    _deque_flatten,
    _deque_flatten_with_keys,
    _deque_unflatten,
    _deregister_pytree_node,
    _dict_flatten,
    _dict_flatten_with_keys,
    _dict_unflatten,
    _list_flatten,
    _list_flatten_with_keys,
    _list_unflatten,
    _namedtuple_deserialize,
    _namedtuple_flatten,
    _namedtuple_flatten_with_keys,
    _namedtuple_serialize,
    _namedtuple_unflatten,
    _NamedTupleMark,
    _odict_flatten,
    _odict_unflatten,
    _ordereddict_flatten,
    _ordereddict_flatten_with_keys,
    _ordereddict_unflatten,
    _private_register_pytree_node,
    _register_pytree_node,
    _tuple_flatten,
    _tuple_flatten_with_keys,
    _tuple_unflatten,
    is_constant_class,
    key_get,
    keystr,
    register_constant,
    register_dataclass,
    register_pytree_node,
)

PyTree = Any
Context = Any
KeyPath = tuple[KeyEntry, ...]


def is_namedtuple_class(cls: Any) -> bool:
    """Whether a class is that of a named tuple."""
    return (
        isinstance(cls, type) and issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple)
    )


def is_namedtuple_instance(obj: Any) -> bool:
    """Whether an object is a named tuple."""
    return is_namedtuple_class(type(obj))


def is_namedtuple(obj: Any) -> bool:
    """Whether an object, or a class, is a named tuple's."""
    return is_namedtuple_class(obj if isinstance(obj, type) else type(obj))


def is_structseq_class(cls: Any) -> bool:
    """Whether a class is that of results with named fields, such as those of `sort`."""
    return (
        isinstance(cls, type)
        and issubclass(cls, tuple)
        and all(isinstance(getattr(cls, name, None), int) for name in _STRUCTSEQ_COUNTS)
    )


_STRUCTSEQ_COUNTS = ("n_fields", "n_sequence_fields", "n_unnamed_fields")


def is_structseq_instance(obj: Any) -> bool:
    """Whether an object is a result with named fields."""
    return is_structseq_class(type(obj))


def is_structseq(obj: Any) -> bool:
    """Whether an object, or a class, is a result's with named fields."""
    return is_structseq_class(obj if isinstance(obj, type) else type(obj))


def _node_type(tree: Any) -> Any:
    kind = type(tree)
    if kind not in SUPPORTED_NODES and isinstance(tree, tuple):
        if is_namedtuple_class(kind):
            return _NamedTupleMark
        if is_structseq_class(kind):
            register_pytree_node(kind, lambda t: (list(t), None), lambda values, _: kind(tuple(values)))
    return kind


_get_node_type = _node_type


def tree_is_leaf(tree: PyTree, is_leaf: Callable[[PyTree], bool] | None = None) -> bool:
    """Whether a value is a leaf."""
    return (is_leaf is not None and is_leaf(tree)) or _node_type(tree) not in SUPPORTED_NODES


_is_leaf = tree_is_leaf


# ------------------------------------------------------------------------------------ TreeSpec


class TreeSpec:
    """The shape of a tree: the type of its root, what its `flatten_fn` noted, and the children's specs."""

    __slots__ = ("_children", "context", "num_leaves", "num_nodes", "type")

    def __init__(self, type: Any, context: Any = None, children: Any = ()) -> None:
        self.type, self.context, self._children = type, context, list(children)
        if type is None:
            self.num_nodes, self.num_leaves = 1, 1
        else:
            nodes, leaves = 1, 0
            for child in self._children:
                nodes += child.num_nodes
                leaves += child.num_leaves
            self.num_nodes, self.num_leaves = nodes, leaves

    @property
    def num_children(self) -> int:
        """The number of children."""
        return len(self._children)

    @property
    def children_specs(self) -> list[TreeSpec]:
        """The specs of the children."""
        return self._children

    def children(self) -> list[TreeSpec]:
        """The specs of the children, a new list."""
        return list(self._children)

    def child(self, index: int) -> TreeSpec:
        """The spec of one child."""
        return self._children[index]

    def is_leaf(self) -> bool:
        """Whether this is a single leaf."""
        return self.type is None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TreeSpec):
            return NotImplemented
        return (self.type, self.context, self._children) == (other.type, other.context, other._children)

    def __hash__(self) -> int:
        return hash((self.type, repr(self.context), tuple(self._children)))

    def __repr__(self) -> str:
        return self._shown(0)

    def _shown(self, indent: int) -> str:
        if self.type is None:
            return "*"
        inner = indent + 2
        parts = [self._children[0]._shown(inner)] if self._children else []
        parts += ["\n" + " " * inner + child._shown(inner) for child in self._children[1:]]
        name = self.type.__name__
        return f"TreeSpec({name}, {self.context}, [{','.join(parts)}])"

    def unflatten(self, leaves: Iterable[Any]) -> PyTree:
        """The tree with these leaves."""
        return tree_unflatten(leaves, self)

    def flatten_up_to(self, tree: PyTree) -> list[PyTree]:
        """The parts of a tree that stand where this spec has leaves; ValueError if it has another shape."""
        found: list[PyTree] = []
        _flatten_up_to(self, tree, found)
        return found


PyTreeSpec = TreeSpec
LEAF = TreeSpec(None)


def treespec_leaf() -> TreeSpec:
    """The spec of a leaf."""
    return LEAF


LeafSpec = treespec_leaf


def treespec_tuple(iterable: Iterable[TreeSpec] = (), /) -> TreeSpec:
    """The spec of a tuple of trees with these specs."""
    return TreeSpec(tuple, None, list(iterable))


def treespec_dict(mapping: Any = (), /, **kwargs: TreeSpec) -> TreeSpec:
    """The spec of a dict of trees with these specs."""
    given = dict(mapping, **kwargs)
    return TreeSpec(dict, list(given), list(given.values()))


def _flatten_up_to(spec: TreeSpec, tree: PyTree, found: list[PyTree]) -> None:
    if spec.type is None:
        found.append(tree)
        return
    kind = _node_type(tree)
    both_dicts = kind in _DICTS and spec.type in _DICTS
    if kind is not spec.type and not both_dicts:
        raise ValueError(f"Node type mismatch; expected {_shown_type(spec)}, but got {type(tree)}.")
    children, context = SUPPORTED_NODES[kind].flatten_fn(tree)
    if len(children) != spec.num_children:
        raise ValueError(f"Node arity mismatch; expected {spec.num_children}, but got {len(children)}.")
    if both_dicts:
        keys = spec.context[1] if spec.type is defaultdict else spec.context
        if set(keys) != set(tree):
            missing, extra = set(keys) - set(tree), set(tree) - set(keys)
            told = f"; missing key(s): {missing}" if missing else ""
            told += f"; extra key(s): {extra}" if extra else ""
            raise ValueError(f"Node keys mismatch{told}.")
        children = [tree[key] for key in keys]
    elif spec.context != context and spec.type is not deque:
        raise ValueError(
            f"Node context mismatch for custom node type {spec.type}."
            if spec.type is not _NamedTupleMark
            else f"Node type mismatch; expected {spec.context}, but got {context}."
        )
    for child, part in zip(spec._children, children, strict=True):
        _flatten_up_to(child, part, found)


_DICTS = (dict, OrderedDict, defaultdict)


def _shown_type(spec: TreeSpec) -> Any:
    return spec.context if spec.type is _NamedTupleMark else spec.type


# -------------------------------------------------------------------------- flatten and unflatten


def _flatten_into(tree: PyTree, leaves: list[Any], is_leaf: Any) -> TreeSpec:
    kind = type(tree)
    children, context = tree, None
    if is_leaf is not None and is_leaf(tree):
        leaves.append(tree)
        return LEAF
    if kind is not tuple and kind is not list:
        if kind not in SUPPORTED_NODES and isinstance(tree, tuple):
            kind = _node_type(tree)
        if kind not in SUPPORTED_NODES:
            leaves.append(tree)
            return LEAF
        children, context = SUPPORTED_NODES[kind].flatten_fn(tree)
    specs = []
    for child in children:
        if is_leaf is None and type(child) not in SUPPORTED_NODES and not isinstance(child, tuple):
            leaves.append(child)
            specs.append(LEAF)
        else:
            specs.append(_flatten_into(child, leaves, is_leaf))
    return _known(kind, specs) if kind is tuple or kind is list else TreeSpec(kind, context, specs)


_SPECS: dict[tuple[Any, ...], TreeSpec] = {}
_MOST_SPECS = 512


def _known(kind: Any, specs: list[TreeSpec]) -> TreeSpec:
    """The shape of a list or tuple: one object for the same ones, since programs ask for few."""
    key = (kind, *map(id, specs))  # of objects that the value holds
    found = _SPECS.get(key)
    if found is None:
        if len(_SPECS) == _MOST_SPECS:
            _SPECS.clear()
        found = _SPECS[key] = TreeSpec(kind, None, specs)
    return found


def tree_flatten(tree: PyTree, is_leaf: Callable[[PyTree], bool] | None = None) -> tuple[list[Any], TreeSpec]:
    """The leaves of a tree in order, and its shape.

    >>> from pullback.utils import _pytree as pytree
    >>> pytree.tree_flatten({"a": 1, "b": (2, 3)})[0]
    [1, 2, 3]
    """
    leaves: list[Any] = []
    spec = _flatten_into(tree, leaves, is_leaf)
    return leaves, spec


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> PyTree:
    """The tree of a shape with these leaves. ValueError if there are too many or too few.

    >>> from pullback.utils import _pytree as pytree
    >>> leaves, spec = pytree.tree_flatten({"a": 1, "b": (2, 3)})
    >>> pytree.tree_unflatten([10 * leaf for leaf in leaves], spec)
    {'a': 10, 'b': (20, 30)}
    """
    if not isinstance(treespec, TreeSpec):
        raise TypeError(
            "tree_unflatten(leaves, treespec): Expected `treespec` to be instance of TreeSpec but got "
            f"item of type {type(treespec)}."
        )
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(
            f"treespec.unflatten(leaves): `leaves` has length {len(leaves)} but the spec refers to a "
            f"pytree that holds {treespec.num_leaves} items ({treespec})."
        )
    return _build(iter(leaves), treespec)


def _build(leaves: Iterator[Any], spec: TreeSpec) -> PyTree:
    if spec.type is None:
        return next(leaves)
    children = []
    for child in spec._children:
        children.append(next(leaves) if child.type is None else _build(leaves, child))
    if spec.type is list:
        return children
    if spec.type is tuple:
        return tuple(children)
    return SUPPORTED_NODES[spec.type].unflatten_fn(children, spec.context)


def tree_iter(tree: PyTree, is_leaf: Callable[[PyTree], bool] | None = None) -> Iterable[Any]:
    """The leaves, one after the other."""
    yield from tree_flatten(tree, is_leaf)[0]


def tree_leaves(tree: PyTree, is_leaf: Callable[[PyTree], bool] | None = None) -> list[Any]:
    """The leaves of a tree."""
    return tree_flatten(tree, is_leaf)[0]


def arg_tree_leaves(*args: PyTree, **kwargs: PyTree) -> list[Any]:
    """The leaves of arguments, of those with names last."""
    return tree_leaves((args, kwargs))


def tree_structure(tree: PyTree, is_leaf: Callable[[PyTree], bool] | None = None) -> TreeSpec:
    """The shape of a tree."""
    return tree_flatten(tree, is_leaf)[1]


def _broadcast_to_and_flatten(
    tree: PyTree, treespec: TreeSpec, is_leaf: Callable[[PyTree], bool] | None = None
) -> list[Any] | None:
    """A value for each leaf of a shape, from a tree with leaves where the shape may have subtrees.

    None if the tree does not fit.
    """
    if tree is None or type(tree) is int or (is_leaf is not None and is_leaf(tree)) or tree_is_leaf(tree):
        return [tree] * treespec.num_leaves
    if treespec.type is None:
        return None
    kind = _node_type(tree)
    if kind is not treespec.type:
        return None
    children, context = SUPPORTED_NODES[kind].flatten_fn(tree)
    if len(children) != treespec.num_children or context != treespec.context:
        return None
    found: list[Any] = []
    for child, spec in zip(children, treespec._children, strict=True):
        if child is None or type(child) is int:
            found.extend([child] * spec.num_leaves)
            continue
        part = _broadcast_to_and_flatten(child, spec, is_leaf)
        if part is None:
            return None
        found.extend(part)
    return found


# ------------------------------------------------------------------------------------- mapping


def tree_map(
    func: Callable[..., Any],
    tree: PyTree,
    *rests: PyTree,
    is_leaf: Callable[[PyTree], bool] | None = None,
) -> PyTree:
    """A tree of `func(leaf, *leaves of the others)`. ValueError if the others have another shape.

    >>> from pullback.utils import _pytree as pytree
    >>> pytree.tree_map(lambda a, b: a + b, [1, (2,)], [10, (20,)])
    [11, (22,)]
    """
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [spec.flatten_up_to(rest) for rest in rests]
    return _build(iter([func(*group) for group in zip(leaves, *others, strict=True)]), spec)


def tree_map_(
    func: Callable[..., Any],
    tree: PyTree,
    *rests: PyTree,
    is_leaf: Callable[[PyTree], bool] | None = None,
) -> PyTree:
    """Calls `func` on each leaf and returns the tree as it is."""
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [spec.flatten_up_to(rest) for rest in rests]
    for group in zip(leaves, *others, strict=True):
        func(*group)
    return tree


def map_only(wanted: Any, /) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Makes a function of some leaves one of all: others, by type or predicate, stay as they are."""
    chosen = wanted if callable(wanted) and not isinstance(wanted, type) else None

    def wrapper(func: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            return func(x) if (chosen(x) if chosen else isinstance(x, wanted)) else x

        return run

    return wrapper


def tree_map_only(
    type_or_types_or_pred: Any,
    /,
    func: Callable[[Any], Any],
    tree: PyTree,
    is_leaf: Callable[[PyTree], bool] | None = None,
) -> PyTree:
    """`tree_map` on leaves of a type, or for which a predicate holds.

    >>> from pullback.utils import _pytree as pytree
    >>> pytree.tree_map_only(int, lambda n: n + 1, [1, "a"])
    [2, 'a']
    """
    return tree_map(map_only(type_or_types_or_pred)(func), tree, is_leaf=is_leaf)


def tree_map_only_(
    type_or_types_or_pred: Any,
    /,
    func: Callable[[Any], Any],
    tree: PyTree,
    is_leaf: Callable[[PyTree], bool] | None = None,
) -> PyTree:
    """`tree_map_` on leaves of a type, or for which a predicate holds."""
    return tree_map_(map_only(type_or_types_or_pred)(func), tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: PyTree, is_leaf: Any = None) -> bool:
    """Whether `pred` holds for every leaf."""
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: PyTree, is_leaf: Any = None) -> bool:
    """Whether `pred` holds for some leaf."""
    return any(map(pred, tree_leaves(tree, is_leaf)))


def tree_all_only(wanted: Any, /, pred: Callable[[Any], bool], tree: PyTree, is_leaf: Any = None) -> bool:
    """Whether `pred` holds for every leaf of a type."""
    return all(pred(x) for x in tree_leaves(tree, is_leaf) if isinstance(x, wanted))


def tree_any_only(wanted: Any, /, pred: Callable[[Any], bool], tree: PyTree, is_leaf: Any = None) -> bool:
    """Whether `pred` holds for some leaf of a type."""
    return any(pred(x) for x in tree_leaves(tree, is_leaf) if isinstance(x, wanted))


# --------------------------------------------------------------------------------------- paths


def _paths(tree: PyTree, path: tuple[Any, ...], is_leaf: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if tree_is_leaf(tree, is_leaf):
        yield path, tree
        return
    node = SUPPORTED_NODES[_node_type(tree)]
    if node.flatten_with_keys_fn is None:
        raise ValueError(
            f"Did not find a flatten_with_keys_fn for type: {type(tree)}. Please pass a "
            "flatten_with_keys_fn argument to register_pytree_node."
        )
    for key, child in node.flatten_with_keys_fn(tree)[0]:
        yield from _paths(child, (*path, key), is_leaf)


def tree_leaves_with_path(
    tree: PyTree, is_leaf: Callable[[PyTree], bool] | None = None
) -> list[tuple[tuple[Any, ...], Any]]:
    """The leaves, each with the path of keys to it."""
    return list(_paths(tree, (), is_leaf))


def tree_flatten_with_path(
    tree: PyTree, is_leaf: Callable[[PyTree], bool] | None = None
) -> tuple[list[tuple[tuple[Any, ...], Any]], TreeSpec]:
    """`tree_flatten` with the path of keys to each leaf."""
    return tree_leaves_with_path(tree, is_leaf), tree_structure(tree, is_leaf)


def tree_map_with_path(
    func: Callable[..., Any],
    tree: PyTree,
    *rests: PyTree,
    is_leaf: Callable[[PyTree], bool] | None = None,
) -> PyTree:
    """`tree_map` with the path of each leaf as the first argument.

    >>> from pullback.utils import _pytree as pytree
    >>> pytree.tree_map_with_path(lambda path, x: pytree.keystr(path) + str(x), {"a": [1]})
    {'a': ["['a'][0]1"]}
    """
    pairs, spec = tree_flatten_with_path(tree, is_leaf)
    others = [spec.flatten_up_to(rest) for rest in rests]
    values = [func(path, leaf, *more) for (path, leaf), *more in zip(pairs, *others, strict=True)]
    return _build(iter(values), spec)


# ------------------------------------------------------------------------------------- writing

_PROTOCOL = 1


def treespec_dumps(treespec: TreeSpec, protocol: int | None = None) -> str:
    """A shape as JSON. NotImplementedError for a node type without a `serialized_type_name`."""
    return json.dumps([protocol or _PROTOCOL, _to_json(treespec)])


def _to_json(spec: TreeSpec) -> dict[str, Any]:
    if spec.type is None:
        return {"type": None, "context": None, "children_spec": []}
    node = SUPPORTED_NODES[spec.type]
    if node.name is None:
        raise NotImplementedError(
            f"No registered serialization name for {spec.type} found. Please update your "
            "_register_pytree_node call with a `serialized_type_name` kwarg."
        )
    context = node.to_dumpable(spec.context) if node.to_dumpable else spec.context
    children = [_to_json(child) for child in spec._children]
    return {"type": node.name, "context": json.dumps(context), "children_spec": children}


def treespec_loads(serialized: str) -> TreeSpec:
    """The shape that `treespec_dumps` wrote."""
    protocol, schema = json.loads(serialized)
    if protocol != _PROTOCOL:
        raise ValueError(f"Unknown protocol {protocol}. Available protocols: {[_PROTOCOL]}")
    return _from_json(schema)


def _from_json(schema: dict[str, Any]) -> TreeSpec:
    if schema["type"] is None:
        return LEAF
    node = next((n for n in SUPPORTED_NODES.values() if n.name == schema["type"]), None)
    if node is None:
        raise NotImplementedError(f"Deserializing {schema['type']} in pytree is not registered.")
    context = json.loads(schema["context"])
    if node.from_dumpable:
        context = node.from_dumpable(context)
    return TreeSpec(node.type, context, [_from_json(child) for child in schema["children_spec"]])


def treespec_pprint(treespec: TreeSpec) -> str:
    """A shape with stars for its leaves, as the tree would be printed."""

    class _Star:
        def __repr__(self) -> str:
            return "*"

    return repr(tree_unflatten([_Star()] * treespec.num_leaves, treespec))
