# C types of message.py; see "Compiled mode" in docs/design.md.

cimport cython

from .assembly cimport assembled, section_value
from .bodies cimport decoded_body
from .fields cimport check_properties, checked_field, checked_header, checked_identifier, checked_property, copied, mapping, new_header
from ..codec.message cimport body_code
from ..codec.sections cimport binary_at, data_head, scan_sections, single_data


cdef int APPLICATION_PROPERTIES, DATA, DELIVERY_ANNOTATIONS, FOOTER, HEADER, MESSAGE_ANNOTATIONS, PROPERTIES, SEQUENCE, VALUE
cdef int BODY, NO_BODY, UNKNOWN, OF_HEADER
cdef int DURABLE, PRIORITY, TTL, FIRST_ACQUIRER, DELIVERY_COUNT
cdef int MESSAGE_ID, USER_ID, TO, SUBJECT, REPLY_TO, CORRELATION_ID, CONTENT_TYPE, CONTENT_ENCODING, EXPIRY_TIME
cdef int CREATION_TIME, GROUP_ID, GROUP_SEQUENCE, REPLY_TO_GROUP_ID
cdef bytes DURABLE_HEADER
cdef object NOTHING, UNREAD


cdef class Message:
    cdef public object _annotations
    cdef public object _application_properties
    cdef public list _bounds
    cdef public int _changed
    cdef public int _code
    cdef public object _content
    cdef public Py_ssize_t _data_start
    cdef public object _delivery
    cdef public object _delivery_annotations
    cdef public object _footer
    cdef public long long _format
    cdef public object _header
    cdef public bytes _payload
    cdef public object _properties

    cdef _header_field(self, int index)
    cdef _set_header(self, int index, object value)
    cdef _property(self, int index)
    cdef _text(self, int index)
    cdef _identifier(self, int index)
    cdef _moment(self, int index)
    cdef _set_property(self, int index, object value)
    cdef _read_map(self, int code, object known)
    cdef int _body_code(self) except? -1
    @cython.locals(payload=bytes)
    cdef _read_body(self)
    cdef _refuse_received(self)
    @cython.locals(payload=bytes)
    cdef list _scanned(self)
    @cython.locals(payload=bytes)
    cdef _read(self, int code)
    @cython.locals(payload=bytes)
    cpdef bytes _encoded(self, bint is_durable)
    cdef bint _has_only_body(self)
    cdef bint _is_untouched(self)


cdef _set_body(Message message, object body)
cdef _unread(Message message, bytes payload)
@cython.locals(message=Message)
cpdef Message received_message(object delivery, Py_ssize_t data_start=*)
cdef _copy_into(Message duplicate, Message message)
