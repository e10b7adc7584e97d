# C types of frames.py; see "Compiled mode" in docs/design.md.

cimport cython

from ..codec.decode cimport u32


cpdef append_uint32(bytearray out, unsigned long value)
cdef void _put_uint32(char *chars, Py_ssize_t at, long long value) noexcept
cpdef Py_ssize_t transfer_size(bytes handle, bytes tag, bytes message_format) except -1
@cython.locals(size=cython.Py_ssize_t)
cpdef append_transfer(
    bytearray out, bytes prefix, bytes handle, object delivery_id, bytes tag, bytes message_format,
    bint settled, bint more, bytes payload,
)
cpdef append_continuation(bytearray out, bytes prefix, bytes handle, bint more, object payload)
cpdef Py_ssize_t continuation_size(bytes handle, bint more) except -1


@cython.final
cdef class TransferHead:
    cdef bytearray _bytes
    cdef Py_ssize_t _delivery_id
    cdef readonly Py_ssize_t size

    @cython.locals(head=bytearray, chars=cython.p_char, at=cython.Py_ssize_t)
    cpdef append(self, bytearray out, long long delivery_id, long long tag, bint settled, bytes payload)


cdef class TransferReader:
    cdef public bint aborted
    cdef public object delivery_id
    cdef public object delivery_tag
    cdef public object handle
    cdef public object message_format
    cdef public bint more
    cdef public object rcv_settle_mode
    cdef public bint resume
    cdef public bint settled
    cdef public object state

    @cython.locals(stop=cython.Py_ssize_t)
    cpdef Py_ssize_t read(self, bytes data, Py_ssize_t pos, Py_ssize_t end) except -1
    @cython.locals(code=int)
    cdef bint _read_small(self, bytes data, Py_ssize_t pos, Py_ssize_t end, int count) except -1
    @cython.locals(code=int, stop=cython.Py_ssize_t, chars=cython.p_char)
    cdef bint _read_small_rest(self, bytes data, Py_ssize_t pos, Py_ssize_t end, int count) except -1
    cdef Py_ssize_t _read_any(self, bytes data, Py_ssize_t pos, Py_ssize_t end) except -1


cdef class DispositionReader:
    cdef public object first
    cdef public object last
    cdef public bint receiver
    cdef public bint settled
    cdef public object state

    cpdef read(self, bytes data, Py_ssize_t pos, Py_ssize_t end)
    @cython.locals(role=int, code=int, settled=int, at=cython.Py_ssize_t)
    cdef bint _read_accepted(self, bytes data, Py_ssize_t pos, Py_ssize_t end) except -1
