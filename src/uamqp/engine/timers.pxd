# C types of timers.py; see "Compiled mode" in docs/design.md.

cimport cython

# The classes of the engine know each other: their declarations go in a circle.
cdef class Timers

from .connection cimport Engine

cdef object ACTIVE, CLOSED


cdef class Timers:
    cdef public object _close_deadline
    cdef public Engine _engine
    cdef public object _handshake_deadline
    cdef public object _idle_timeout
    cdef public object _remote_idle
    cdef public dict _waiting
    cdef public object last_input
    cdef public object last_output

    cpdef next_deadline(self)
    @cython.locals(engine=Engine)
    cpdef tick(self, object now)
    cdef bint _connection_expired(self, object now) except -1
    cpdef expect_answer(self, object endpoint)
    cpdef answered(self, object endpoint)
