# Keeping the garbage collector away from large graphs.
#
# Nodes and tensors stand in two rings (nodes.pxi: live_nodes, live_tensors, live_count) and are not tracked
# by the collector but during the collections for which `_on_collection` shows them to it. Read the NOTE, then
# `_on_collection`.
#
# From other parts: Link, Node, live_count, live_nodes, live_tensors (nodes.pxi); Saved (saved.pxi); Tensor
# (tensor.pxi).

# NOTE [Garbage]: the collector walks every tracked object, again and again while a graph grows: 4 us an
# op in a graph of a million. Nodes and tensors point only backwards in time, so cycles need a user's help
# (a hook that holds the loss, say) and are rare. So they are not tracked, but stand in a list of our own,
# and a callback tracks them for the collections that could be of use: those that the user asks for, and
# full ones once the list has doubled since the last such.

def _on_collection(phase, info):
    global deep, live_at_deep
    if info["generation"] != 2:
        return
    if phase == "start":
        automatic = gc.get_count()[2] > gc.get_threshold()[2]
        deep = not automatic or live_count > 2 * live_at_deep + 10000
        if deep:
            _show_to_collector(True)
    elif deep:
        _show_to_collector(False)
        live_at_deep = live_count
        deep = False


cdef bint deep = False
cdef Py_ssize_t live_at_deep = 0


cdef _show_to_collector(bint show):
    cdef Link* link = live_tensors.next
    cdef Node node
    while link != &live_tensors:
        _set_tracked(<PyObject*>(<char*>link - link_of_tensor), show)
        link = link.next
    link = live_nodes.next
    while link != &live_nodes:
        node = <Node><PyObject*>(<char*>link - link_of_node)
        _set_tracked(<PyObject*>node, show)
        if type(node.saved) is tuple:
            for entry in <tuple>node.saved:
                if type(entry) is Saved:
                    _set_tracked(<PyObject*>entry, show)
            _set_tracked(<PyObject*>node.saved, show)
        for entry in (node.saved, node.custom):
            if type(entry) is Saved:
                _set_tracked(<PyObject*>entry, show)
        link = link.next


cdef Py_ssize_t link_of_tensor, link_of_node   # where the links stand in the objects


cdef _find_links():
    global link_of_tensor, link_of_node
    cdef Tensor t = Tensor.__new__(Tensor)
    cdef Node node = Node.__new__(Node)
    link_of_tensor = <char*>&t.link - <char*><PyObject*>t
    link_of_node = <char*>&node.link - <char*><PyObject*>node


_find_links()


cdef void _set_tracked(PyObject* o, bint track) noexcept:
    if PyObject_GC_IsTracked(o) != track:
        if track:
            PyObject_GC_Track(o)
        else:
            PyObject_GC_UnTrack(o)


gc.callbacks.append(_on_collection)
