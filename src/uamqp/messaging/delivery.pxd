# C types of delivery.py; see "Compiled mode" in docs/design.md.

cimport cython


cdef class Delivery:
    cdef public list _callbacks
    cdef public object _entry
    cdef public object _error
    cdef public object _many
    cdef public long long _number
    cdef public bytes _payload
    cdef public object _queue
    cdef public object _unseen
    cdef public list _waiters
    cdef public bint done
    cdef public object message
    cdef public object outcome

    cpdef _sleep(self)
    cpdef _woken(self, object future)
    cpdef _add_waiter(self, object waiter)
    cpdef _drop_waiter(self, object waiter)
    cpdef _result(self)


@cython.locals(delivery=Delivery)
cpdef Delivery new_delivery(object queue, object message, bytes payload)
