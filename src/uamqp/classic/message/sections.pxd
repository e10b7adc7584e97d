# C types of sections.py; see "Compiled mode" in docs/design.md.

cimport cython

from ..values.portable cimport Portable
from ...codec.decode cimport Decoder as _Decoder, decoder_between
from ...codec.encode cimport append_bare, append_keyed_map, append_string, append_symbol, begin_map, close_compound
from ...codec.message cimport append_header, append_properties, encoded_since, read_header, read_properties

cdef int HEADER, PROPERTIES


cpdef append_amqp(bytearray out, object value, str encoding, int depth=*)
@cython.locals(start=cython.Py_ssize_t)
cpdef append_map(bytearray out, object values, str encoding, bint symbols)


cdef class MessageHeader(Portable):
    cdef public object delivery_count
    cdef public object time_to_live
    cdef public object first_acquirer
    cdef public object durable
    cdef public object priority
    cdef public bytes _original
    cdef public object _came

    @cython.locals(start=cython.Py_ssize_t)
    cpdef _load(self, _Decoder decoder)
    cdef tuple _current(self)
    cpdef _append_to(self, bytearray out)


cdef class _Field:
    cdef readonly int index
    cdef readonly str name

    @cython.locals(values=list)
    cdef _read(self, MessageProperties owner)
    @cython.locals(values=list)
    cdef _write(self, MessageProperties owner, object value)
    cpdef wire(self, object value, str encoding)


cdef class _AddressField(_Field):
    pass


cdef class _IdField(_Field):
    pass


cdef class _IntegerField(_Field):
    pass


cdef tuple _FIELDS


cdef class MessageProperties:
    cdef dict __dict__
    cdef object __weakref__
    cdef public str _encoding
    cdef public list _values
    cdef public bytes _original
    cdef public int _changed

    @cython.locals(field=_Field)
    cdef _fill(self, int index, object value)
    cpdef _append_to(self, bytearray out)


cpdef MessageHeader received_header(_Decoder decoder)
cpdef object checked(int code, object value)
@cython.locals(properties=MessageProperties, start=cython.Py_ssize_t)
cpdef MessageProperties received_properties(_Decoder decoder, str encoding)
