# C types of outbox.py; see "Compiled mode" in docs/design.md.

cimport cython

from .delivery cimport Delivery as _Delivery, new_delivery
from .many cimport Many as _Many
from .message cimport Message as _Message
from ..core.outbox cimport Entry as _Entry
from ..core.outgoing cimport Outcome as _Outcome, Outgoing
from ..engine.delivery cimport OutgoingDelivery as _OutgoingDelivery
from ..transport.steps cimport Steps as _Steps

cdef double _HELD
cdef int _TOGETHER
cdef object _END, _LOST_KIND, _REFUSED, _TAKEN
cdef _Outcome _LOST


cdef class SendQueue(Outgoing):
    cdef public _Delivery _deciding
    cdef public bint _is_due
    cdef public list _producing
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
    cdef public bint presettled
    cdef public str product
    cdef public object refusal
    cdef public long long refused
    cdef public object room
    cdef public _Steps steps
    cdef public long long taken
    cdef public long long unknown
    cdef public object unseen

    @cython.locals(delivery=_Delivery)
    cpdef note(self, _Entry entry, _Outcome outcome)
    cpdef bytes encode(self, _Entry entry)
    cpdef retry(self, _Entry entry, _Outcome outcome)
    cpdef finished(self, _Entry entry, _Outcome outcome)
    cpdef late(self, _Entry entry, _OutgoingDelivery delivery)
    @cython.locals(payload=bytes)
    cpdef submit(self, _Message message, object timeout, bint presettled)
    @cython.locals(payload=bytes)
    cdef bytes _payload_of(self, _Message message)
    @cython.locals(steps=_Steps)
    cpdef send_one(self, object given, object timeout, bint presettled, bint waits=*)
    cpdef send_soon(self)
    cpdef _send_now(self)
    cpdef _hand_over_now(self)
    cpdef check_open(self)
    @cython.locals(places=cython.longlong)
    cpdef submit_all(self, object messages, _Many many, long long window)
    cdef _stage(self, object messages, _Many many, long long count)
    @cython.locals(message=_Message)
    cpdef stage(self, object given, _Many many)
    cpdef long long send_on(self, _Many many, long long window=*) except -1
    @cython.locals(now=double, places=cython.longlong)
    cpdef long long _send_on(self, _Many many, long long window) except -1
    @cython.locals(done=cython.Py_ssize_t, there=cython.Py_ssize_t, staged=list, payloads=list, delivery=_Delivery)
    cpdef _take_staged(self, _Many many, double now)
    cpdef _Message checked(self, object message)
    @cython.locals(entry=_Entry, now=double, delivery=_Delivery)
    cpdef take_in(self, _Message message, bytes payload, object timeout, bint presettled)
    @cython.locals(entry=_Entry, delivery=_Delivery)
    cdef _Delivery _take(self, _Message message, bytes payload, object deadline, double now)
    @cython.locals(payload=bytes, many=_Many)
    cpdef _decide(self, _Delivery delivery, _Outcome outcome)
    cpdef _fail(self, _Delivery delivery, _Outcome outcome)
