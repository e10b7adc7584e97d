# C types of pieces.py; see "Compiled mode" in docs/design.md.


cdef class Pieces:
    cdef list _large
    cdef bytearray _small

    cpdef add(self, bytes piece)
    cpdef bytes take(self)
