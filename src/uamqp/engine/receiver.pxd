# C types of receiver.py; see "Compiled mode" in docs/design.md.

cimport cython

from .delivery cimport IncomingDelivery
from .frames cimport TransferReader
from .link cimport Link
from .pieces cimport Pieces as _Pieces
from .serial cimport add, distance
from .session cimport Session
from .settlement cimport Unsettled as _Unsettled

cdef object ACTIVE, CLOSED


cdef class Receiver(Link):
    cdef public long long _granted
    cdef public long long _low_water
    cdef public IncomingDelivery _partial
    cdef readonly _Pieces _parts
    cdef public long long _parts_size
    cdef public bint _refilling
    cdef public long long _slack
    cdef public bint _used
    cdef public long long _window
    cdef public long long buffered
    cdef public long long credit
    cdef public long long delivery_count
    cdef public bint drain
    cdef public long long message_limit

    cpdef renew(self)
    cpdef taken(self, long long count=*)
    cpdef untaken(self, long long count=*)
    @cython.locals(delivery=IncomingDelivery, size=cython.Py_ssize_t, chars=cython.p_char)
    cpdef _on_transfer(self, TransferReader transfer, bytes data, Py_ssize_t pos, Py_ssize_t end)
    cdef _complete(self, IncomingDelivery delivery)
    cdef bytes _end_partial(self)
    cdef _begin_partial(self, IncomingDelivery delivery, TransferReader transfer)
    @cython.locals(delivery=IncomingDelivery, size=cython.Py_ssize_t, chars=cython.p_char)
    cdef _on_continuation(self, TransferReader transfer, bytes data, Py_ssize_t pos, Py_ssize_t end)
    cpdef _end_drain(self)
    cdef _grant(self, long long credit, bint drain)
    @cython.locals(limit=cython.longlong)
    cdef _give(self, long long credit)
    cdef _check_attached(self)
    @cython.locals(credit=cython.longlong)
    cpdef _ask_for_more(self)
    cdef _ask_for_half(self)
    @cython.locals(credit=cython.longlong, room=cython.longlong, unsettled=_Unsettled)
    cdef long long _room(self) except? -1
