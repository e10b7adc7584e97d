# C types of delivery.py; see "Compiled mode" in docs/design.md.

cdef class IncomingDelivery
cdef class OutgoingDelivery

from .link cimport Link


cdef class IncomingDelivery:
    cdef public Link link
    cdef public object delivery_id
    cdef public object tag
    cdef public object message_format
    cdef public bytes payload
    cdef public bint settled
    cdef public object state
    cdef public object remote_state
    cdef public object context


cdef class OutgoingDelivery:
    cdef public Link link
    cdef public object delivery_id
    cdef public object message_format
    cdef public bytes payload
    cdef public bint sent
    cdef public bint settled
    cdef public bint lost
    cdef public object state
    cdef public object remote_state
    cdef public object context
    cdef public bint _aborted
    cdef public Py_ssize_t _offset
    cdef public bint _pre_settled
    cdef public bytes _tag
    cdef public long long _tag_number
