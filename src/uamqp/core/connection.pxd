# C types of connection.py; see "Compiled mode" in docs/design.md.

cimport cython

from ..engine.delivery cimport IncomingDelivery as _Incoming, OutgoingDelivery as _Outgoing
from .link cimport LinkCore as _LinkCore, LinkHandler as _LinkHandler


cdef class ConnectionCore:
    cdef public list _backlog
    cdef public list _sessions
    cdef public object cause
    cdef public bint closed
    cdef public bint ended
    cdef public object engine
    cdef public object keeper
    cdef public object owner
    cdef public object timers

    @cython.locals(events=list, handled=cython.bint)
    cpdef bint handle_events(self, object now) except -1
    @cython.locals(done=cython.Py_ssize_t)
    cpdef handle_all(self, list events, object now)
    @cython.locals(core=_LinkCore, handler=_LinkHandler, arrived=_Incoming, sent=_Outgoing)
    cdef _handle(self, object event, object now)
