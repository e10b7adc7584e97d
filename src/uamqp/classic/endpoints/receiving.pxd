# C types of receiving.py; see "Compiled mode" in docs/design.md.

cimport cython

from ...core.incoming cimport Incoming, is_settled_by_sender, settle
from ...engine.delivery cimport IncomingDelivery as _Delivery
from ...engine.session cimport Session as _Session
from ..message.message cimport Message as _Message, received_message


cdef class Taker:
    cpdef take_in(self, _Message message)


cdef class Intake(Incoming):
    cdef public object _receiver
    cdef public str _encoding
    cdef public object _settler
    cdef public object callback

    cpdef take_in(self, _Delivery delivery, Py_ssize_t data_start)
    cpdef settle(self, object response, _Delivery delivery)
    @cython.locals(session=_Session)
    cpdef _dispose(self, _Delivery delivery, object outcome)
