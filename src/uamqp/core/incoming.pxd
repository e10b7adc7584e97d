# C types of incoming.py; see "Compiled mode" in docs/design.md.

cimport cython

from ..codec.sections cimport single_data
from ..engine.delivery cimport IncomingDelivery as _Delivery
from ..engine.receiver cimport Receiver as _Receiver
from ..engine.settlement cimport Unsettled as _Unsettled
from .link cimport LinkHandler

cdef object _HELD, _LEFT


cpdef bint is_settled_by_sender(_Delivery delivery) except -1
@cython.locals(unsettled=_Unsettled)
cpdef settle(_Delivery delivery, object outcome)
@cython.locals(link=_Receiver)
cpdef leave(_Delivery delivery)


cdef class Inbox:
    cdef public object _append
    cdef public object _items
    cdef public object _logger
    cdef public object _popleft

    cpdef _Delivery delivery_of(self, object item)
    @cython.locals(delivery=_Delivery)
    cpdef bint is_settled(self, object item) except -1
    cpdef bint accept(self, object item) except -1
    cpdef bint release(self, object item) except -1
    cdef bint _settle(self, _Delivery delivery, object outcome, str verb) except -1
    cpdef take_in(self, object item)
    @cython.locals(delivery=_Delivery, link=_Receiver)
    cpdef hold(self, object item)
    cpdef put(self, object item)
    @cython.locals(left_out=list, delivery=_Delivery, link=_Receiver, left=cython.longlong)
    cpdef hand_out(self, Py_ssize_t count, bint accept, object batch)
    @cython.locals(delivery=_Delivery, link=_Receiver)
    cpdef leave(self, object item)


cdef class Incoming(LinkHandler):
    cdef public object _logger
    cdef public bint at_most_once
    cdef public Inbox inbox

    @cython.locals(data_start=cython.Py_ssize_t)
    cpdef on_delivery(self, _Delivery delivery, object now)
    cpdef take_in(self, _Delivery delivery, Py_ssize_t data_start)
    cdef _refuse(self, _Delivery delivery, object error)
    cdef bint _settle(self, _Delivery delivery, object outcome) except -1
