# C types of sections.py; see "Compiled mode" in docs/design.md.

cimport cython

from .decode cimport Decoder, u32


# They may be read as C values.
cdef bytes _USUAL
cdef list _EXCLUDED
cdef int _DATA, _FIRST, _LAST


@cython.locals(
    seen=int, pos=cython.Py_ssize_t, size=cython.Py_ssize_t, start=cython.Py_ssize_t, stop=cython.longlong,
    code=int, index=int, width=int, sections=list,
)
cpdef list scan_sections(bytes payload)
@cython.locals(size=cython.Py_ssize_t)
cpdef Py_ssize_t only_data(bytes payload) except -1
@cython.locals(decoder=Decoder)
cdef tuple _scan_section(bytes payload, Py_ssize_t pos, int seen)
