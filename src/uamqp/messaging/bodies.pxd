# C types of bodies.py; see "Compiled mode" in docs/design.md.

cimport cython

from ..codec.message cimport append_data, body_code, body_parts
from ..codec.sections cimport append_section_header


cdef int DATA, SEQUENCE, VALUE


cpdef append_body(bytearray out, int code, object content)
@cython.locals(code=int)
cpdef decoded_body(bytes payload, list bounds)
