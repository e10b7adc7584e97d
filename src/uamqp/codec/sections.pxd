# C types of sections.py; see "Compiled mode" in docs/design.md.

cimport cython

from .decode cimport Decoder, u32
from .encode cimport append_wide_size


# They may be read as C values.
cdef bytes _USUAL
cdef list _EXCLUDED, _SMALL_DATA_HEADS
cdef int _DATA, _FIRST, _NONE
cdef long long MAX_ELEMENTS


cdef class SectionReader(Decoder):
    cdef int _seen
    cdef Py_ssize_t _size

    @cython.locals(
        payload=bytes, chars=cython.p_uchar, pos=cython.Py_ssize_t, size=cython.Py_ssize_t, start=cython.Py_ssize_t, stop=cython.longlong,
        code=int, width=int, excluded=int,
    )
    cpdef int next(self) except -1
    @cython.locals(decoder=Decoder)
    cdef int _any(self, Py_ssize_t pos) except -1


@cython.locals(reader=SectionReader)
cpdef SectionReader read_sections(bytes payload, bint bare=*)
@cython.locals(reader=SectionReader, code=int, sections=list)
cpdef list scan_sections(bytes payload)
@cython.locals(reader=SectionReader, code=int, size=cython.Py_ssize_t, found=cython.Py_ssize_t, count=int)
cpdef Py_ssize_t single_data(bytes payload) except -1
@cython.locals(size=cython.Py_ssize_t, first=cython.Py_ssize_t, stop=cython.longlong, chars=cython.p_char)
cpdef bytes binary_at(bytes payload, Py_ssize_t start)
cpdef bytes data_head(Py_ssize_t size)
cpdef append_section_header(bytearray out, int code)
