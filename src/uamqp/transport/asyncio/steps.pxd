# C types of asyncio/steps.py; see "Compiled mode" in docs/design.md.

cimport cython

from ..steps cimport Steps

cdef object _this_thread


@cython.final
cdef class LoopSteps(Steps):
    cdef long long _asleep
    cdef object _loop
    cdef object _owner
    cdef object _thread

    cdef _look_at_loop(self)
