# C types of message.py; see "Compiled mode" in docs/design.md.

cimport cython

# A class that is cimported by its own name would not be an attribute of the module.
from .bodies cimport DataBody as _DataBody, received_body
from .sections cimport append_map, checked, received_header, received_properties
from ...codec.decode cimport Decoder as _Decoder
from ...codec.message cimport append_sections, encode_data, section_decoder
from ...codec.sections cimport SectionReader, append_section_header, binary_at, data_head, read_sections, scan_sections, single_data


cdef int APPLICATION_PROPERTIES, DATA, DELIVERY_ANNOTATIONS, FOOTER, HEADER, MESSAGE_ANNOTATIONS, PROPERTIES, VALUE

cdef object _ACCEPTED, _ALREADY_SETTLED, _NEW, _SETTLED, _UNREAD, _UNSETTLED


cdef class Message:
    cdef dict __dict__
    cdef object __weakref__
    cdef public object _entry
    cdef public object fate
    cdef public object state
    cdef public object idle_time
    cdef public int retries
    cdef public object on_send_complete
    cdef public object _on_message_sent
    cdef public str _encoding
    cdef public long long _message_format
    cdef public object _response
    cdef public object _settler
    cdef public object _delivery
    cdef public object _delivery_no
    cdef public object _delivery_tag
    cdef public bytes _payload
    cdef public list _bounds
    cdef public Py_ssize_t _data_start
    cdef public object _header
    cdef public object _delivery_annotations
    cdef public object _annotations
    cdef public object _properties
    cdef public object _application_properties
    cdef public object _content
    cdef public object _footer

    cdef list _scanned(self)
    @cython.locals(decoder=_Decoder)
    cdef _read(self, int code)
    @cython.locals(data=_DataBody)
    cdef _auto_set_body(self, object body)
    @cython.locals(payload=bytes, start=cython.Py_ssize_t)
    cdef _read_content(self)
    @cython.locals(data=_DataBody)
    cdef _read_body(self)
    cdef bint _is_untouched(self)
    cdef bint _has_only_body(self)
    @cython.locals(payload=bytes, out=bytearray)
    cdef bytes _encoded(self)
    @cython.locals(out=bytearray, tail=bytearray)
    cdef bytes _encoded_data(self, bytes content)
    cdef _append_head(self, bytearray out)
    @cython.locals(found=int, start=cython.Py_ssize_t, end=cython.Py_ssize_t)
    cdef _append_section(self, bytearray out, int code, object value)
    @cython.locals(payload=bytes)
    cdef _append_unread(self, bytearray out, int first, int last)
    cdef bint _can_settle_message(self) except *
    cpdef _settle(self, object response)


cdef inline _clear(Message message, str encoding)
cdef inline _unread(Message message)
@cython.locals(code=int, parts=int, reader=SectionReader)
cdef _decode(Message message, bytes payload)
@cython.locals(message=Message)
cpdef Message received_message(object delivery, object settler, str encoding=*, Py_ssize_t data_start=*)
