# C types of sending.py; see "Compiled mode" in docs/design.md.

cimport cython

from ...core.link cimport LinkHandler
from ...core.outbox cimport Entry as _Entry, Group, Outbox as _Outbox
from ...engine.delivery cimport OutgoingDelivery as _Delivery
from ...engine.sender cimport Sender as _Sender
from ..message.message cimport Message as _Message

cdef object _ACCEPTED, _ALREADY_SETTLED, _IN_FLIGHT, _OK, _SENT, _WAITING


@cython.locals(message=_Message, messages=list)
cpdef list gathered(object given, list wholes=*)
cpdef result_of(_Delivery delivery)


cdef class SendCall(Group):
    cdef public list _wholes
    cdef public object deadline
    cdef public dict fates
    cdef public bint is_over
    cdef public list messages
    cdef public object reason
    cdef public object signal


cdef class SendQueue(LinkHandler):
    cdef public double _last_look
    cdef public double _last_progress
    cdef public double _look_due
    cdef public list _lost
    cdef public _Outbox _outbox
    cdef public double _paused
    cdef public object _policy
    cdef public object _reporting
    cdef public double _stall_timeout
    cdef public object backoff
    cdef public dict calls
    cdef public long long decided
    cdef public object guard
    cdef public long long handed
    cdef public dict idlers

    @cython.locals(entry=_Entry, index=cython.Py_ssize_t, message=_Message, outbox=_Outbox, pending=_Entry)
    cpdef add_all(self, list messages, double timeout, double now, object tick, SendCall call=*)
    @cython.locals(entry=_Entry, message=_Message)
    cpdef take_back(self, SendCall call, double now)
    @cython.locals(message=_Message)
    cdef _give_back(self, _Entry entry, object now)
    @cython.locals(handed=cython.longlong, credit=cython.longlong, room=cython.longlong, places=cython.longlong, sender=_Sender, entry=_Entry, message=_Message, delivery=_Delivery, payload=bytes)
    cpdef hand_over(self, object link, bint settled, double now)
    @cython.locals(entry=_Entry, message=_Message)
    cpdef on_outcome(self, _Delivery delivery, object now)
