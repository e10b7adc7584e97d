# C types of link.py; see "Compiled mode" in docs/design.md.

cdef class Link

from .frames cimport TransferReader
from .session cimport Session
from .delivery cimport OutgoingDelivery

cdef object ACTIVE, CLOSED, IDLE


cdef class Link:
    cdef public object _cause
    cdef public bint _ended
    cdef public bint _flow_due
    cdef public bytes _handle_bytes
    cdef public object _held_flow
    cdef public bint _refused
    cdef public object _request
    cdef public object context
    cdef public object handle
    cdef public object local_state
    cdef public object name
    cdef public object rcv_settle_mode
    cdef public object remote_attach
    cdef public object remote_handle
    cdef public object remote_state
    cdef public Session session
    cdef public object snd_settle_mode
    cdef public object source
    cdef public object target

    cpdef _ask_for_flow(self)
    cpdef _on_transfer(self, TransferReader transfer, bytes data, Py_ssize_t pos, Py_ssize_t end)
    cpdef _on_disposition(self, OutgoingDelivery delivery, bint settled, object state)
    cpdef _refill(self)
