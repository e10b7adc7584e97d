# C types of decode.py; see "Compiled mode" in docs/design.md.
# `chars` is the same bytes, to be read and sliced in C, where the lines above have checked the bounds.
# Sizes and ends are long long: a peer's 32-bit size added to a position must not wrap, on 32-bit machines either.

cimport cython


cdef int MAX_DEPTH
cdef long long MAX_ELEMENTS
cdef Py_ssize_t _AT_ONCE


cdef class Decoder:
    cdef public bint bare
    cdef readonly bytes data
    cdef public long long count
    cdef public int depth
    cdef readonly Py_ssize_t end
    cdef readonly Py_ssize_t pos
    cdef public long long spare

    @cython.locals(pos=cython.Py_ssize_t, code=int)
    cpdef object value(self)
    @cython.locals(
        chars=cython.p_uchar, end=cython.Py_ssize_t, after=cython.Py_ssize_t, bare=cython.bint, code=int,
        number=int, index=cython.Py_ssize_t, last=cython.Py_ssize_t, start=cython.Py_ssize_t,
    )
    cdef _elements(self, Py_ssize_t pos, Py_ssize_t stop, Py_ssize_t count, list items, dict pairs)
    @cython.locals(items=list, part=list)
    cdef list _many_elements(self, Py_ssize_t pos, Py_ssize_t stop, Py_ssize_t count)
    @cython.locals(
        data=bytes, pos=cython.Py_ssize_t, end=cython.Py_ssize_t, start=cython.Py_ssize_t, stop=cython.Py_ssize_t,
        count=cython.Py_ssize_t, code=int, items=list,
    )
    cpdef list fields(self)
    @cython.locals(
        data=bytes, pos=cython.Py_ssize_t, end=cython.Py_ssize_t, start=cython.Py_ssize_t, stop=cython.Py_ssize_t,
        count=cython.Py_ssize_t, code=int, items=dict,
    )
    cpdef dict map(self)
    @cython.locals(
        pos=cython.longlong, end=cython.Py_ssize_t, code=int, width=int, pending=cython.longlong, data=bytes
    )
    cpdef object skip(self)
    cpdef list element_stops(self)
    @cython.locals(pos=cython.Py_ssize_t, code=int)
    cpdef object check(self)
    @cython.locals(stop=cython.Py_ssize_t, end=cython.Py_ssize_t, count=cython.longlong)
    cdef object _check_within(self, int code)
    @cython.locals(pos=cython.longlong, descriptors=int, element=int, width=int)
    cdef object _check_elements(self, Py_ssize_t stop, long long count)
    @cython.locals(pos=cython.longlong, width=int)
    cdef object _skip_content(self, int code)
    cdef object _too_deep(self)
    cdef object _truncated(self, int code, long long pos)
    cdef object _coded(self, int code)
    cdef object _unknown(self, int code)
    cdef object _fixed0(self, int code)
    @cython.locals(pos=cython.Py_ssize_t, number=int)
    cdef object _fixed1(self, int code)
    @cython.locals(pos=cython.Py_ssize_t, stop=cython.Py_ssize_t)
    cdef object _fixed4(self, int code)
    @cython.locals(pos=cython.Py_ssize_t, stop=cython.Py_ssize_t)
    cdef object _fixed8(self, int code)
    @cython.locals(pos=cython.Py_ssize_t, stop=cython.Py_ssize_t)
    cdef object _fixed_rare(self, int code)
    @cython.locals(pos=cython.Py_ssize_t, size=cython.longlong, stop=cython.longlong, form=int, data=bytes, content=bytes, chars=cython.p_char)
    cdef object _variable(self, int code)
    cdef object _text(self, bytes content, int code)
    @cython.locals(pos=cython.Py_ssize_t, width=int, size=cython.longlong, count=cython.longlong, stop=cython.longlong)
    cdef long long _enter(self, int code) except -1
    cdef object _misfit(self, int code, Py_ssize_t stop)
    @cython.locals(pos=cython.Py_ssize_t, stop=cython.Py_ssize_t, count=cython.longlong, items=list)
    cdef list _list(self, int code)
    @cython.locals(pos=cython.Py_ssize_t, stop=cython.Py_ssize_t, count=cython.longlong, items=dict)
    cdef dict _map(self, int code)
    cdef object _key(self, object key, dict items, dict collisions)
    @cython.locals(stop=cython.Py_ssize_t, end=cython.Py_ssize_t, count=cython.longlong, element=int, width=int)
    cdef object _array(self, int code)
    @cython.locals(pos=cython.Py_ssize_t)
    cdef int _constructor(self, Py_ssize_t stop) except -1
    cdef object _described(self)


# An array is a subclass of list, which C's `list` isn't.
cdef tuple _frozen(object value)
@cython.locals(decoder=Decoder)
cpdef Decoder decoder_between(bytes data, Py_ssize_t pos, Py_ssize_t end, bint bare)
@cython.locals(number=cython.longlong)
cpdef long long u32(bytes data, Py_ssize_t pos)
