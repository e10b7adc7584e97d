# C types of session.py; see "Compiled mode" in docs/design.md.

cimport cython

# The classes of the engine know each other: their declarations go in a circle.
cdef class Session

from .delivery cimport IncomingDelivery as _IncomingDelivery, OutgoingDelivery as _OutgoingDelivery
from .engine cimport Engine
from .frames cimport DispositionReader, TransferReader
from .link cimport Link as _Link
from .serial cimport add, distance

cdef object ACTIVE, CLOSED, IDLE


cdef class Session:
    cdef public object _cause
    cdef public list _due_links
    cdef public bint _ended
    cdef public list _free_handles
    cdef public dict _handles
    cdef public long long _incoming_window
    cdef public dict _names
    cdef public object _next_handle
    cdef public long long _next_incoming_id
    cdef public long long _next_outgoing_id
    cdef public object _outgoing_window
    cdef public bytes _pending_encoded
    cdef public long long _pending_first
    cdef public long long _pending_last
    cdef public bint _pending_receiver
    cdef public bint _pending_settled
    cdef public object _pending_state
    cdef public object _ready
    cdef public dict _remote_handles
    cdef public long long _window
    cdef public bint _window_due
    cdef public object channel
    cdef public object context
    cdef public bint dirty
    cdef public bint echo_due
    cdef public Engine engine
    cdef public object handle_max
    cdef public dict incoming
    cdef public object initial_id
    cdef public object local_state
    cdef public long long next_delivery_id
    cdef public dict outgoing
    cdef public object remote_channel
    cdef public object remote_handle_max
    cdef public long long remote_incoming_window
    cdef public object remote_properties
    cdef public object remote_state
    cdef public bytes transfer_prefix
    cdef public long long unsettled_limit

    cpdef add_incoming(self, _IncomingDelivery delivery)
    @cython.locals(link=_Link, settled=cython.bint)
    cpdef settle_incoming(self, _IncomingDelivery delivery, object outcome)
    cdef _dispose(self, bint receiver, long long delivery_id, bint settled, object state)
    cpdef drop_outgoing(self, _OutgoingDelivery delivery)
    cdef _mark(self)
    cpdef sender_is_ready(self, object sender)
    cpdef flow_is_due(self, object link)
    cpdef count_transfer(self)
    @cython.locals(before=cython.Py_ssize_t, out=bytearray, result=int)
    cdef bint _pump(self, Py_ssize_t limit) except -1
    @cython.locals(link=_Link)
    cpdef on_transfer(self, TransferReader transfer, bytes data, Py_ssize_t pos, Py_ssize_t end)
    @cython.locals(count=cython.longlong)
    cpdef on_disposition(self, DispositionReader disposition)
    @cython.locals(delivery=_OutgoingDelivery, number=cython.longlong)
    cdef _on_outcomes(self, object first, long long count, bint settled, object state)
