# C types of fifo.py; see "Compiled mode" in docs/design.md.

cimport cython

cdef Py_ssize_t _SPENT


@cython.final
cdef class Fifo:
    cdef list _items
    cdef Py_ssize_t _start

    cpdef append(self, object item)
    @cython.locals(items=list, start=cython.Py_ssize_t)
    cpdef first(self)
    @cython.locals(items=list, start=cython.Py_ssize_t)
    cpdef pop(self)
    @cython.locals(items=list, start=cython.Py_ssize_t)
    cpdef bint drop(self, object item) except -1
