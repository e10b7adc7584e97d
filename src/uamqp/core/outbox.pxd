# C types of outbox.py; see "Compiled mode" in docs/design.md.

cimport cython

from ..engine.fifo cimport Fifo as _Fifo


cdef class Entry:
    cdef public object deadline
    cdef public object delivery
    cdef public bint done
    cdef public object item


cdef class Outbox:
    cdef public _Fifo _again
    cdef public list _deadlines
    cdef public object _held_until
    cdef public dict _in_flight
    cdef public object _sequence
    cdef public _Fifo _waiting

    @cython.locals(entry=Entry)
    cpdef Entry add(self, object item, object deadline=*)
    @cython.locals(entry=Entry)
    cpdef Entry next_ready(self, object now)
    cpdef handed_over(self, Entry entry, object delivery)
    cpdef finish(self, Entry entry)
