# C types of inbox.py; see "Compiled mode" in docs/design.md.

cimport cython

from .message cimport Message as _Message, received_message
from ..core.incoming cimport Inbox, Incoming, is_settled_by_sender, leave, settle
from ..engine.delivery cimport IncomingDelivery as _Delivery
from ..engine.receiver cimport Receiver as _Receiver
from ..transport.steps cimport Steps as _Steps


cdef class MessageInbox(Inbox):
    @cython.locals(message=_Message)
    cpdef _Delivery delivery_of(self, object item)
    @cython.locals(message=_Message, delivery=_Delivery)
    cpdef bint is_settled(self, object item) except -1


cdef class ReceiveQueue(Incoming):
    cdef public bint _holds_back
    cdef public object _on_flow_properties
    cdef public dict _unconfirmed
    cdef public object arrived
    cdef public bint confirm
    cdef public object core
    cdef public object drained
    cdef public bint draining
    cdef public long long drains
    cdef public object driver
    cdef public object ended
    cdef public object gone
    cdef public long long lost
    cdef public object max_unsettled
    cdef public MessageInbox messages
    cdef public bint modifies
    cdef public long long out
    cdef public bint pulls
    cdef public long long received
    cdef public object receiver
    cdef public bint releases
    cdef public long long settled
    cdef public _Steps steps
    cdef public long long wanted
    cdef public bint writes

    cpdef take_in(self, _Delivery delivery, Py_ssize_t data_start)
    cpdef bint _is_full(self) except -1
    @cython.locals(message=_Message, taken=list)
    cpdef _Message take_now(self, bint accept)
    @cython.locals(message=_Message, delivery=_Delivery, link=_Receiver, is_settled=bint, credit=cython.longlong)
    cpdef _Message _take_one(self, bint accept, list taken)
    cpdef list hand_out(self, Py_ssize_t count, list batch, bint was_asked)
    @cython.locals(message=_Message, delivery=_Delivery, count=cython.Py_ssize_t)
    cdef Py_ssize_t _unsettled(self, list messages) except -1
    @cython.locals(delivery=_Delivery)
    cpdef settle(self, _Message message, object outcome)
    cpdef _check(self, object outcome)
    @cython.locals(settlement=object)
    cpdef _given(self, _Delivery delivery, object outcome, object together)
    cpdef check_own(self, object item)
    @cython.locals(given=list)
    cpdef list _own(self, object messages)
    @cython.locals(message=_Message, delivery=_Delivery)
    cpdef _settle_each(self, list messages, object outcome, object together)
