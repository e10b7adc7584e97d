# C types of session.py; see "Compiled mode" in docs/design.md.

cimport cython

# The classes of the engine know each other: their declarations go in a circle.
cdef class Session

from .connection cimport Engine
from .frames cimport TransferReader
from .link cimport Link as _Link
from .serial cimport add, distance
from .settlement cimport Unsettled as _Unsettled

cdef object ACTIVE, CLOSED, IDLE


cdef class Session:
    cdef public object _cause
    cdef public bint _dirty
    cdef public list _due_links
    cdef public bint _echo_due
    cdef public bint _ended
    cdef public list _free_handles
    cdef public dict _handles
    cdef public long long _incoming_window
    cdef public dict _names
    cdef public object _next_handle
    cdef public long long _next_incoming_id
    cdef public long long _next_outgoing_id
    cdef public object _outgoing_window
    cdef public object _ready
    cdef public dict _remote_handles
    cdef public bytes _transfer_prefix
    cdef public long long _window
    cdef public bint _window_due
    cdef public object channel
    cdef public object context
    cdef public Engine engine
    cdef public object handle_max
    cdef public object initial_id
    cdef public object local_state
    cdef public long long next_delivery_id
    cdef public object remote_channel
    cdef public object remote_handle_max
    cdef public long long remote_incoming_window
    cdef public object remote_properties
    cdef public object remote_state
    cdef public _Unsettled unsettled

    cpdef _mark(self)
    @cython.locals(link=_Link)
    cpdef _refill_links(self)
    cpdef _sender_is_ready(self, object sender)
    cpdef _flow_is_due(self, object link)
    cpdef _count_transfer(self)
    @cython.locals(before=cython.Py_ssize_t, out=bytearray, result=int)
    cdef bint _encode_transfers(self, Py_ssize_t limit) except -1
    @cython.locals(link=_Link)
    cpdef _on_transfer(self, TransferReader transfer, bytes data, Py_ssize_t pos, Py_ssize_t end)
