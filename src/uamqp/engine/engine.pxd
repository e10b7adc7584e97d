# C types of engine.py; see "Compiled mode" in docs/design.md.

cimport cython

cdef class Engine

from ..codec.decode cimport u32
from .frames cimport DispositionReader as _DispositionReader, TransferReader as _TransferReader
from .session cimport Session as _Session

cdef int AMQP_FRAMES, FRAME_AMQP, FRAME_SASL
cdef object ACTIVE, CLOSED, IDLE


cdef class Engine:
    cdef public object _cause
    cdef public object _channels
    cdef public object _close_deadline
    cdef public list _dirty
    cdef public _DispositionReader _disposition
    cdef public list _events
    cdef public long long _frame_limit
    cdef public object _handshake_deadline
    cdef public bint _header_received
    cdef public bint _header_sent
    cdef public object _held_bytes
    cdef public object _idle_timeout
    cdef public object _input
    cdef public object _last_input
    cdef public object _last_output
    cdef public object _max_frame_size
    cdef public object _opening_session
    cdef public bint _paused
    cdef public object _remote_idle
    cdef dict _remote_sessions
    cdef public object _sasl
    cdef public int _stage
    cdef public bint _started
    cdef public _TransferReader _transfer
    cdef public dict _waiting
    cdef public object cause
    cdef public object config
    cdef public object context
    cdef public bint is_closed
    cdef public object local_state
    cdef public object now
    cdef public bytearray output
    cdef public Py_ssize_t remote_max_frame_size
    cdef public object remote_open
    cdef public object remote_state
    cdef public object trace
    cdef public Py_ssize_t transfer_frame_size

    cpdef emit(self, object event)
    cpdef session_is_dirty(self, object session)
    cpdef check_open(self)
    @cython.locals(pos=cython.Py_ssize_t, size=cython.Py_ssize_t, frame_size=cython.longlong)
    cdef Py_ssize_t _consume(self, bytes data) except -1
    @cython.locals(start=cython.Py_ssize_t, expected=int, channel=int, code=int)
    cdef _on_frame(self, bytes data, Py_ssize_t pos, Py_ssize_t end)
    @cython.locals(transfer=_TransferReader, session=_Session, payload=cython.Py_ssize_t)
    cdef _on_transfer(self, object channel, bytes data, Py_ssize_t pos, Py_ssize_t end)
    @cython.locals(disposition=_DispositionReader, session=_Session)
    cdef _on_disposition(self, object channel, bytes data, Py_ssize_t pos, Py_ssize_t end)
