# C types of receiving.py; see "Compiled mode" in docs/design.md.

cimport cython

from ...core.incoming cimport Inbox
from ...engine.delivery cimport IncomingDelivery as _Delivery
from ..endpoints.receiving cimport Taker
from ..message.message cimport Message as _Message

cdef object _ACCEPTANCE, _SETTLED


cdef class MessageQueue(Inbox):
    @cython.locals(message=_Message)
    cpdef _Delivery delivery_of(self, object item)
    @cython.locals(message=_Message)
    cpdef bint is_settled(self, object item) except -1
    @cython.locals(message=_Message)
    cpdef bint accept(self, object item) except -1
    cpdef bint release(self, object item) except -1


cdef class Arrivals(Taker):
    cdef public bint active
    cdef public object arrived
    cdef public object callback
    cdef public MessageQueue messages
    cdef public bint streaming

    cpdef take_in(self, _Message message)


cpdef bint complete(_Message message) except -1
