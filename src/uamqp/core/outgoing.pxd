# C types of outgoing.py; see "Compiled mode" in docs/design.md.

cimport cython

from ..engine.delivery cimport OutgoingDelivery as _Delivery
from ..engine.sender cimport Sender as _Sender
from .link cimport LinkHandler, SenderCore as _SenderCore
from .outbox cimport Entry, Group as _Group, Outbox as _Outbox

cdef object _ACCEPTED_STATE, _LOST, _TAKEN
cdef Outcome _ACCEPTED, _BACK, _BACK_UNCERTAIN, _SETTLED


cdef class Outcome:
    cdef public object condition
    cdef public object error
    cdef public bint is_part
    cdef public object kind
    cdef public bint may_have_arrived
    cdef public object state
    cdef public object text


cdef class Outgoing(LinkHandler)


cpdef Outcome outcome_of(_Delivery delivery)


cdef class _Timed:
    cdef Outgoing _outgoing


cdef class Outgoing(LinkHandler):
    cdef public bint _is_blocked
    cdef public double _last_look
    cdef public double _last_progress
    cdef public double _look_due
    cdef public list _lost
    cdef public double _paused
    cdef public object _policy
    cdef public object _seen_by
    cdef public double _stall_timeout
    cdef public _Timed _timed
    cdef public long long decided
    cdef public long long handed
    cdef public _SenderCore link
    cdef public _Outbox outbox
    cdef public object timers

    cpdef bytes encode(self, Entry entry)
    cpdef Outcome unsendable(self, Entry entry, object error)
    cpdef retry(self, Entry entry, Outcome outcome)
    cpdef note(self, Entry entry, Outcome outcome)
    cpdef finished(self, Entry entry, Outcome outcome)
    cpdef waits(self, Entry entry)
    cpdef not_ours(self, _Delivery delivery, object now)
    cpdef late(self, Entry entry, _Delivery delivery)
    cpdef begin_to_add(self, double now)
    @cython.locals(link=_SenderCore, more=cython.bint)
    cpdef bint on_credit(self, double now) except -1
    @cython.locals(delivery=_Delivery, outcome=Outcome)
    cpdef give_back(self, Entry entry, object now)
    @cython.final
    @cython.locals(delivery=_Delivery)
    cdef _withdraw(self, Entry entry)
    @cython.final
    cdef _leave(self, Entry entry, Outcome outcome)
    @cython.locals(handed=cython.longlong, credit=cython.longlong, room=cython.longlong, places=cython.longlong, sender=_Sender, entry=Entry, delivery=_Delivery, payload=bytes)
    cpdef bint hand_over(self, double now) except -1
    @cython.locals(entry=Entry, outcome=Outcome)
    cpdef on_outcome(self, _Delivery delivery, object now)
    @cython.final
    @cython.locals(entry=Entry, uncertain=Outcome, unsent=Outcome)
    cdef _time_out(self, list entries, object text)
