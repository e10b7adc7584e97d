# C types of fields.py; see "Compiled mode" in docs/design.md.

cimport cython


cdef tuple _AS_IT_IS, _HEADER_CHECKS, _HEADER_MAXIMA, _PROPERTY_CHECKS


cpdef checked_property(int index, object value)
@cython.locals(index=int)
cpdef check_properties(list found)
cpdef checked_header(int index, object value)
cpdef checked_field(int index, object value)
cpdef checked_identifier(int index, object value)
cpdef list new_header(object durable, object priority, object ttl)
cpdef copied(object section)
cpdef dict mapping(str name, object value)
