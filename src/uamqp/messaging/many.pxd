# C types of many.py; see "Compiled mode" in docs/design.md.

cimport cython


cdef class Many:
    cdef public long long done
    cdef public double due
    cdef public list failures
    cdef public bint is_complete
    cdef public long long left
    cdef public long long mark
    cdef public list payloads
    cdef public object signal
    cdef public list staged
    cdef public long long taken
    cdef public object timeout

    cpdef stage(self, object message, bytes payload)
    cpdef clear(self)
