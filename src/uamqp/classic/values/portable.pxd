# C types of portable.py; see "Compiled mode" in docs/design.md.


cdef class Portable:
    cdef dict __dict__
    cdef object __weakref__
