# C types of sender.py; see "Compiled mode" in docs/design.md.

cimport cython

from .delivery cimport OutgoingDelivery
from .fifo cimport Fifo as _Fifo
from .frames cimport TransferHead as _TransferHead, append_continuation, append_transfer, continuation_size, transfer_size
from .link cimport Link
from .serial cimport add, distance
from .session cimport Session

cdef int MODE_SETTLED, MODE_UNSETTLED
cdef object ACTIVE
cdef Py_ssize_t _FEW
cdef bytes _FORMAT_0


cdef class Sender(Link):
    cdef public bint _drain_answered
    cdef public bint _drain_reply
    cdef public long long _link_credit
    cdef public long long _next_tag
    cdef public _Fifo _queue
    cdef public bint _ready
    cdef public unsigned long long _remote_max_message_size
    cdef public Py_ssize_t _room_below
    cdef public _TransferHead _usual_head
    cdef public Py_ssize_t _withdrawn
    cdef public long long delivery_count
    cdef public bint drain

    @cython.locals(delivery=OutgoingDelivery, mode=int, maximum=cython.ulonglong)
    cpdef OutgoingDelivery enqueue(
        self, bytes payload, object tag, object message_format, bint settled, object state, object context
    )
    @cython.locals(delivery=OutgoingDelivery, queue=_Fifo, session=Session)
    cpdef int _encode_queued(self, bytearray out, Py_ssize_t limit) except -1
    cpdef _report_room(self)
    @cython.locals(session=Session, number=cython.longlong, size=cython.Py_ssize_t, head=_TransferHead)
    cdef _start(self, OutgoingDelivery delivery, bytearray out)
    @cython.locals(session=Session, room=cython.Py_ssize_t, more=cython.bint, handle=bytes, tag=bytes, message_format=bytes, payload=bytes)
    cdef _start_plain(self, OutgoingDelivery delivery, bytearray out)
    @cython.locals(session=Session, start=cython.Py_ssize_t, stop=cython.Py_ssize_t, frame_size=cython.Py_ssize_t, more=cython.bint)
    cdef _continue(self, OutgoingDelivery delivery, bytearray out)
    cdef _finish(self, OutgoingDelivery delivery)
    @cython.locals(session=Session)
    cpdef _on_disposition(self, OutgoingDelivery delivery, bint settled, object state)


cdef bint _is_withdrawn(OutgoingDelivery delivery)
