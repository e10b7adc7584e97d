# C types of outbox.py; see "Compiled mode" in docs/design.md.

cimport cython

from .delivery cimport Delivery as _Delivery
from .many cimport Many as _Many
from .message cimport Message as _Message
from ..core.outbox cimport Entry as _Entry
from ..core.outgoing cimport Outcome as _Outcome, Outgoing
from ..engine.delivery cimport OutgoingDelivery as _OutgoingDelivery

cdef int _TOGETHER
cdef object _END, _TAKEN, _REFUSED
cdef _Outcome _LOST


cdef class SendQueue(Outgoing):
    cdef public _Delivery _deciding
    cdef public list _undecided
    cdef public double _watched
    cdef public long long accepted
    cdef public long long bytes
    cdef public long long crowd
    cdef public object driver
    cdef public bint durable
    cdef public object ended
    cdef public object idle
    cdef public bint is_anonymous
    cdef public long long max_bytes
    cdef public long long max_count
    cdef public long long max_size
    cdef public long long not_sent
    cdef public long long pending
    cdef public str product
    cdef public object refusal
    cdef public long long refused
    cdef public object room
    cdef public long long taken
    cdef public long long unknown
    cdef public object unseen

    @cython.locals(delivery=_Delivery)
    cpdef note(self, _Entry entry, _Outcome outcome)
    cpdef bytes encode(self, _Entry entry)
    cpdef retry(self, _Entry entry, _Outcome outcome)
    cpdef finished(self, _Entry entry, _Outcome outcome)
    cpdef late(self, _Entry entry, _OutgoingDelivery delivery)
    @cython.locals(payload=bytes, delivery=_Delivery)
    cpdef submit(self, _Message message, object timeout, bint presettled, _Many many=*)
    cpdef check_open(self)
    cpdef send_on(self)
    cpdef _send_on(self)
    @cython.locals(message=_Message)
    cpdef bint submit_all(self, object messages, _Many many, long long window, object timeout) except -1
    cpdef checked(self, object message)
    @cython.locals(entry=_Entry, delivery=_Delivery, now=double)
    cpdef take_in(self, _Message message, bytes payload, object timeout, bint presettled, _Many many)
    @cython.locals(payload=bytes, many=_Many)
    cpdef _decide(self, _Delivery delivery, _Outcome outcome)
    cpdef _fail(self, _Delivery delivery, _Outcome outcome)
