# C types of link.py; see "Compiled mode" in docs/design.md.

from ..engine.delivery cimport IncomingDelivery as _Incoming, OutgoingDelivery as _Outgoing
from ..engine.link cimport Link as _Link

cdef object _OPEN


cdef class LinkHandler:
    cpdef on_delivery(self, _Incoming delivery, object now)
    cpdef on_outcome(self, _Outgoing delivery, object now)
    cpdef bint on_credit(self, double now) except -1
    cpdef on_settled(self, _Incoming delivery, object now)


cdef class LinkCore:
    cdef public object _state
    cdef public object cause
    cdef public _Link endpoint
    cdef public LinkHandler handler
    cdef public object owner
    cdef public bint remote_closed
    cdef public object session
    cdef public object settings


cdef class SenderCore(LinkCore):
    pass


cdef class ReceiverCore(LinkCore):
    cdef public bint answers_drain
    cdef public bint at_most_once
    cdef public object credit_window
    cdef public bint reading
