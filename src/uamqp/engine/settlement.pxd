# C types of settlement.py; see "Compiled mode" in docs/design.md.

cimport cython

cdef class Unsettled

from .delivery cimport IncomingDelivery as _IncomingDelivery, OutgoingDelivery as _OutgoingDelivery
from .frames cimport DispositionReader as _DispositionReader
from .link cimport Link
from .serial cimport add, distance
from .session cimport Session


cdef int MODE_FIRST


cdef class Unsettled:
    cdef public bytes _encoded
    cdef public long long _first
    cdef public long long _idle_steps
    cdef public long long _last
    cdef public bint _receiver
    cdef public Session _session
    cdef public bint _settled
    cdef public object _state
    cdef public dict incoming
    cdef public long long limit
    cdef public dict outgoing

    cpdef add_incoming(self, _IncomingDelivery delivery)
    @cython.locals(link=Link, mode=int, session=Session, settled=cython.bint)
    cpdef settle_incoming(self, _IncomingDelivery delivery, object outcome)
    @cython.locals(session=Session, maximum=cython.Py_ssize_t)
    cdef _dispose(self, bint receiver, long long delivery_id, bint settled, object state)
    @cython.locals(count=cython.longlong)
    cpdef on_disposition(self, _DispositionReader disposition)
    cdef _charge(self, long long steps, long long hits)
    @cython.locals(delivery=_OutgoingDelivery, number=cython.longlong, hits=cython.longlong)
    cdef _on_outcomes(self, object first, long long count, bint settled, object state)
    cpdef drop_outgoing(self, _OutgoingDelivery delivery)
