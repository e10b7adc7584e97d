# C types of bodies.py; see "Compiled mode" in docs/design.md.

cimport cython

from ..values.portable cimport Portable
from ...codec.sections cimport data_head


cdef int DATA, SEQUENCE, VALUE


cdef class MessageBody(Portable):
    cdef public object _encoding
    cdef public list _parts

    cpdef _append_to(self, bytearray out)


cdef class DataBody(MessageBody):
    pass


cdef class ValueBody(MessageBody):
    pass


cdef class SequenceBody(MessageBody):
    pass


@cython.locals(code=int, start=cython.Py_ssize_t, end=cython.Py_ssize_t, parts=list, chars=cython.p_char)
cdef list _contents(bytes payload, list bounds)
@cython.locals(code=int, parts=list, body=MessageBody)
cpdef received_body(bytes payload, list bounds, object encoding)
