# C types of guard.py; see "Compiled mode" in docs/design.md.

cdef int _CALLER
cdef object _getframe


cdef class Guard:
    cdef list _deferred
    cdef str _foreign
    cdef readonly object _frame
    cdef object _give_up
    cdef public str half_done
    cdef public bint is_over
    cdef readonly QuickStep sending
    cdef readonly QuickStep settling

    cpdef end(self, object kind)
    cpdef judge(self)
    cpdef broken(self, str kind)
    cpdef bint is_in_outer_frame(self) except -1
    cdef _run_deferred(self)


cdef class QuickStep:
    cdef Guard _guard
    cdef str _what


cdef class Pause:
    cdef object _frame
    cdef Guard _guard
    cdef str _half_done
