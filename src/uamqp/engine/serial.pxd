# C types of serial.py; see "Compiled mode" in docs/design.md.

cimport cython

cdef long long _HALF, _MASK, _WRAP


cpdef long long add(long long serial, long long count)
@cython.locals(difference=cython.longlong)
cpdef long long distance(long long start, long long end)
