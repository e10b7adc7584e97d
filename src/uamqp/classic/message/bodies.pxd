# C types of bodies.py; see "Compiled mode" in docs/design.md.

cimport cython

from ..values.portable cimport Portable
from ...codec.message cimport append_data, append_section, body_code, body_parts


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


@cython.locals(code=int, body=MessageBody)
cpdef received_body(bytes payload, list bounds, object encoding)
