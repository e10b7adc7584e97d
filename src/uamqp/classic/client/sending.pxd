# C types of sending.py; see "Compiled mode" in docs/design.md.

cimport cython

from ...core.outbox cimport Entry as _Entry, Group, Outbox as _Outbox
from ...core.outgoing cimport Outcome as _Outcome, Outgoing
from ...engine.delivery cimport OutgoingDelivery as _Delivery
from ..message.message cimport Message

cdef object _ALREADY_SETTLED, _FAILED, _IN_FLIGHT, _OK, _RETURNED, _SENT, _TAKEN, _TIMED_OUT, _WAITING


@cython.locals(message=Message, messages=list)
cpdef list gathered(object given, list wholes=*)


cdef class SendCall(Group):
    cdef public list _wholes
    cdef public object caller
    cdef public dict fates
    cdef public bint is_nested
    cdef public bint is_over
    cdef public list messages
    cdef public object reason
    cdef public object signal


cdef class SendQueue(Outgoing):
    cdef public object _error_policy
    cdef public object _reporting
    cdef public object backoff
    cdef public object call_out
    cdef public dict calls
    cdef public dict idlers
    cdef public dict waiting

    @cython.locals(entry=_Entry, index=cython.Py_ssize_t, message=Message, outbox=_Outbox, pending=_Entry)
    cpdef add_all(self, list messages, double timeout, double now, object tick, SendCall call=*)
    @cython.locals(entry=_Entry, message=Message)
    cpdef take_back(self, SendCall call, double now)
    cdef _give_back(self, _Entry entry, object now)
    cpdef bint hand_over(self, double now) except -1
    @cython.locals(message=Message, payload=bytes)
    cpdef bytes encode(self, _Entry entry)
    cpdef _Outcome unsendable(self, _Entry entry, object error)
    cpdef waits(self, _Entry entry)
    cpdef retry(self, _Entry entry, _Outcome outcome)
    @cython.locals(message=Message)
    cpdef note(self, _Entry entry, _Outcome outcome)
    @cython.locals(message=Message)
    cpdef finished(self, _Entry entry, _Outcome outcome)
    cpdef not_ours(self, _Delivery delivery, object now)


cdef _note_fate(Message message, _Outcome outcome)
