# C types of input.py; see "Compiled mode" in docs/design.md.

cimport cython

# The classes of the engine know each other: their declarations go in a circle.
cdef class Input

from ..codec.decode cimport u32
from .connection cimport Engine
from .frames cimport DispositionReader as _DispositionReader, TransferReader as _TransferReader
from .session cimport Session as _Session

cdef int AMQP_FRAMES, FRAME_AMQP, FRAME_SASL, SASL_FRAMES
cdef object ACTIVE, CLOSED, IDLE


cdef class Input:
    cdef object _buffer
    cdef _DispositionReader _disposition
    cdef Engine _engine
    cdef Py_ssize_t _frame_start
    cdef long long _frame_limit
    cdef bint _paused
    cdef dict _sessions
    cdef _TransferReader _transfer
    cdef public bint header_received
    cdef public object opening_session
    cdef public object sasl
    cdef public int stage

    cpdef receive(self, object chunk)
    cpdef resume(self)
    cdef _read_held(self)
    cdef _read(self, bytes data, Py_ssize_t pos)
    @cython.locals(engine=Engine, size=cython.Py_ssize_t, frame_size=cython.longlong)
    cdef Py_ssize_t _consume(self, bytes data, Py_ssize_t pos) except -1
    @cython.locals(start=cython.Py_ssize_t, expected=int, channel=int, code=int)
    cdef _on_frame(self, bytes data, Py_ssize_t pos, Py_ssize_t end)
    @cython.locals(engine=Engine, transfer=_TransferReader, session=_Session, payload=cython.Py_ssize_t)
    cdef _on_transfer(self, object channel, bytes data, Py_ssize_t pos, Py_ssize_t end)
    @cython.locals(disposition=_DispositionReader, session=_Session)
    cdef _on_disposition(self, object channel, bytes data, Py_ssize_t pos, Py_ssize_t end)
