# C types of message.py; see "Compiled mode" in docs/design.md.

cimport cython

from .decode cimport Decoder, decoder_between
from .encode cimport append_keyed_map, append_text, begin_map, close_compound
from .sections cimport append_section_header, data_head


cdef int APPLICATION_PROPERTIES, DATA, VALUE
cdef bytes _BYTES_BARE, _BYTES_TYPED
cdef dict _USUAL
cdef tuple _FIELDS, _NAMES


@cython.locals(found=int, start=cython.Py_ssize_t, end=cython.Py_ssize_t)
cpdef Decoder section_decoder(bytes payload, list bounds, int code, bint bare=*)
@cython.locals(fields=list, count=cython.Py_ssize_t)
cpdef list read_header(Decoder decoder)
@cython.locals(fields=list)
cpdef list read_properties(Decoder decoder)
@cython.locals(stop=cython.Py_ssize_t, chars=cython.p_char)
cpdef bytes encoded_since(Decoder decoder, Py_ssize_t start)
@cython.locals(code=int)
cpdef int body_code(list bounds) except -1
@cython.locals(
    parts=list, size=cython.Py_ssize_t, code=int, start=cython.Py_ssize_t, end=cython.Py_ssize_t, chars=cython.p_char
)
cpdef list body_parts(bytes payload, list bounds)
cpdef append_section(bytearray out, int code, bytes value)
@cython.locals(code=int, start=cython.Py_ssize_t, end=cython.Py_ssize_t)
cpdef append_sections(bytearray out, bytes payload, list bounds, int first, int last)
cpdef append_data(bytearray out, bytes content)
@cython.locals(head=bytes)
cpdef bytes encode_data(bytes content, object before=*, object after=*)
cpdef append_header(bytearray out, list fields, bytes original=*, int changed=*)
cpdef append_properties(bytearray out, list fields, bint bare=*, bytes original=*, int changed=*)
@cython.locals(
    spans=list, codes=bytes, count=cython.Py_ssize_t, start=cython.Py_ssize_t, first=cython.Py_ssize_t,
    stop=cython.Py_ssize_t, index=int,
)
cdef _append_fields(bytearray out, list fields, bint properties, bint bare, bytes original, int changed)
cdef _append_other(bytearray out, int index, object value, bint properties, bint bare)
cpdef append_map(bytearray out, int code, object items, bint bare=*)
