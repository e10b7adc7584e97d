# C types of connection.py; see "Compiled mode" in docs/design.md.

cimport cython

from ..engine.delivery cimport IncomingDelivery as _Incoming, OutgoingDelivery as _Outgoing


cdef class ConnectionCore:
    cdef public list _backlog
    cdef public list _sessions
    cdef public object cause
    cdef public object engine
    cdef public object owner

    @cython.locals(events=list, done=cython.Py_ssize_t, handled=cython.bint)
    cpdef bint handle_events(self, object now) except -1
    @cython.locals(arrived=_Incoming, sent=_Outgoing)
    cpdef handle(self, object event, object now)
