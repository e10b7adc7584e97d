# C types of outbox.py; see "Compiled mode" in docs/design.md.

cimport cython

from ..engine.fifo cimport Fifo as _Fifo

cdef Py_ssize_t _FEW, _SPARE


cdef class Group:
    cdef public Py_ssize_t left

    cpdef on_left(self)


cdef class Entry:
    cdef public object deadline
    cdef public object delivery
    cdef public bint done
    cdef public Py_ssize_t ends
    cdef public Group group
    cdef public object item
    cdef public bint may_have_arrived
    cdef public object message_format
    cdef public Outbox outbox
    cdef public long long passed
    cdef public long long place
    cdef public double seen
    cdef public bint settled
    cdef public Py_ssize_t slot
    cdef public object tag
    cdef public Py_ssize_t tries
    cdef public bint waits


@cython.final
cdef class InFlight:
    cdef list _slots
    cdef readonly Py_ssize_t count

    @cython.locals(slots=list)
    cdef add(self, Entry entry)
    @cython.locals(slots=list, slot=cython.Py_ssize_t)
    cdef remove(self, Entry entry)
    @cython.locals(left=list, entry=Entry, slot=cython.Py_ssize_t)
    cdef _close_up(self)


@cython.final
cdef class Outbox:
    cdef public _Fifo _returned
    cdef public Entry _sent_alone
    cdef public list _deadlines
    cdef public Py_ssize_t _done_count
    cdef public object _held_until
    cdef public InFlight _in_flight
    cdef public _Fifo _in_order
    cdef public double _latest
    cdef public long long _places
    cdef public object _sequence
    cdef public Py_ssize_t _swept_at
    cdef public _Fifo _waiting
    cdef public bint _whole
    cdef public object owner

    cpdef bint is_awaiting(self) except -1
    @cython.locals(entry=Entry)
    cpdef Entry add(self, object item, object deadline=*, Group group=*)
    @cython.locals(entry=Entry)
    cpdef Entry new_entry(self, object item, object deadline, Group group)
    cpdef add_entry(self, Entry entry)
    cpdef add_in_flight(self, Entry entry, object delivery)
    @cython.locals(in_order=_Fifo, there=cython.Py_ssize_t)
    cdef _add_deadline(self, Entry entry, double deadline)
    @cython.locals(entry=Entry)
    cdef Entry _drop_done(self, _Fifo in_order)
    cdef _forget_deadlines(self)
    @cython.locals(entry=Entry)
    cpdef Entry next_ready(self, double now)
    @cython.locals(entry=Entry)
    cdef Entry _first(self, _Fifo queue)
    cpdef handed_over(self, Entry entry, object delivery)
    @cython.locals(group=Group)
    cpdef finish(self, Entry entry)
    cdef _leave_flight(self, Entry entry)
    @cython.locals(entry=Entry, index=cython.longlong, passed=cython.longlong, found=list)
    cpdef list overtaken(self, double now, double patience)


@cython.locals(entry=Entry, kept=_Fifo)
cdef _Fifo _undone(_Fifo queue)
