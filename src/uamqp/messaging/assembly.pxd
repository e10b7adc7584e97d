# C types of assembly.py; see "Compiled mode" in docs/design.md.

cimport cython

from .bodies cimport append_body, decoded_body
from ..codec.decode cimport Decoder
from ..codec.message cimport (
    append_header, append_map, append_properties, append_sections, encode_data, read_header, read_properties,
    section_decoder,
)
from ..codec.sections cimport append_section_header


cdef int APPLICATION_PROPERTIES, DATA, DELIVERY_ANNOTATIONS, FOOTER, HEADER, MESSAGE_ANNOTATIONS, PROPERTIES, VALUE
cdef int _OF_HEADER_ALONE, _OF_PROPERTIES


@cython.locals(decoder=Decoder)
cpdef section_value(bytes payload, list bounds, int code)
@cython.locals(out=bytearray, tail=bytearray)
cpdef bytes assembled(
    bytes payload, list bounds, bint is_durable, int changed, object header, object delivery_annotations,
    object annotations, object properties, object application_properties, int code, object content, object footer,
)
cdef _append_header(bytearray out, bytes payload, list bounds, bint is_durable, object header, int changed)
@cython.locals(original=bytes, section=int, start=cython.Py_ssize_t, end=cython.Py_ssize_t)
cdef _append_fields(bytearray out, bytes payload, list bounds, int code, object found, int changed)
cdef _append_map(bytearray out, bytes payload, list bounds, int code, object items)
