# C types of receiving.py; see "Compiled mode" in docs/design.md.

cimport cython

from ...codec.sections cimport single_data
from ...core.link cimport LinkHandler
from ...engine.delivery cimport IncomingDelivery as _Delivery
from ...engine.receiver cimport Receiver as _Receiver
from ...engine.session cimport Session as _Session
from ...engine.settlement cimport Unsettled as _Unsettled
from ..message.message cimport Message as _Message, received_message

cdef object _ACCEPTANCE, _ACCEPTED, _SETTLED


cdef class MessageQueue:
    cdef object _append
    cdef object _messages
    cdef object _popleft

    cpdef put(self, object message)
    @cython.locals(message=_Message, left_out=list, delivery=_Delivery, link=_Receiver, taken=cython.longlong)
    cpdef hand_out(self, Py_ssize_t count, bint auto_complete, object batch)


@cython.locals(delivery=_Delivery, link=_Receiver)
cpdef hold(_Message message)
@cython.locals(delivery=_Delivery, link=_Receiver)
cpdef use_up(_Message message)
cpdef bint complete(_Message message) except -1
@cython.locals(delivery=_Delivery, unsettled=_Unsettled)
cpdef bint accept(_Message message) except -1
cpdef flush(object pump, _Session session)


cdef class Intake(LinkHandler):
    cdef public object _receiver
    cdef public str _encoding
    cdef public object _settler
    cdef public object callback
    cdef public bint settled

    @cython.locals(message=_Message, data_start=cython.Py_ssize_t, link=_Receiver)
    cpdef on_delivery(self, _Delivery delivery, object now)
    cpdef settle(self, object response, _Delivery delivery)
    @cython.locals(session=_Session)
    cpdef _dispose(self, _Delivery delivery, object outcome)


cdef class Inbox:
    cdef public bint active
    cdef public object arrived
    cdef public object callback
    cdef public MessageQueue messages
    cdef public bint streaming

    cpdef take_in(self, _Message message)
