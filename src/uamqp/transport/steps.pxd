# C types of steps.py; see "Compiled mode" in docs/design.md.

cimport cython

from .guard cimport Guard


cdef class Steps:
    cdef object _pump
    cdef readonly bint has_loop

    cpdef write(self, bint is_last)
    cpdef check_caller(self)
    cpdef begin_sleep(self)
    cpdef end_sleep(self)
    cpdef wake(self, object waiter)
