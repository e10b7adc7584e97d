# C types of connection.py; see "Compiled mode" in docs/design.md.

cdef class Engine

from .input cimport Input as _Input
from .timers cimport Timers as _Timers

cdef int AMQP_FRAMES
cdef object ACTIVE, CLOSED, IDLE


cdef class Engine:
    cdef public object _cause
    cdef public object _channels
    cdef public list _dirty
    cdef public list _events
    cdef public bint _header_sent
    cdef public object _held_bytes
    cdef public _Input _input
    cdef public bint _started
    cdef public _Timers _timers
    cdef public object cause
    cdef public object config
    cdef public object context
    cdef public bint is_closed
    cdef public object local_state
    cdef public object max_frame_size
    cdef public object now
    cdef public bytearray output
    cdef public Py_ssize_t remote_max_frame_size
    cdef public object remote_open
    cdef public object remote_state
    cdef public object trace
    cdef public Py_ssize_t transfer_frame_size
    cdef public object unforeseen

    cpdef _emit(self, object event)
    cpdef _session_is_dirty(self, object session)
    cpdef _check_open(self)
