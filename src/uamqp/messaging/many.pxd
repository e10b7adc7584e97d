# C types of many.py; see "Compiled mode" in docs/design.md.

cimport cython


cdef class Many:
    cdef public list failures
    cdef public bint is_complete
    cdef public long long left
    cdef public long long mark
    cdef public object signal
    cdef public object stuck
    cdef public long long taken

    cpdef decided(self, object delivery, long long number)
