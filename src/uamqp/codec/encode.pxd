# C types of encode.py; see "Compiled mode" in docs/design.md.

cimport cython


cdef int MAX_DEPTH
cdef long long MAX_ELEMENTS


cpdef object append_boolean(bytearray out, object value)
@cython.locals(size=cython.Py_ssize_t)
cpdef object append_binary(bytearray out, object value)
cpdef object append_string(bytearray out, object value)
cpdef object append_symbol(bytearray out, object value)
cpdef object append_value(bytearray out, object value, int depth=*)
cpdef object append_bare(bytearray out, object value, int depth=*)
@cython.locals(start=cython.Py_ssize_t, data=bytes)
cpdef object append_keyed_map(bytearray out, object items, bint symbols, bint bare=*)
cdef object _append_key_bytes(bytearray out, bytes data, bint symbols, object key)
cdef object _append_other_key(bytearray out, object key, bint symbols)
@cython.locals(size=cython.Py_ssize_t)
cpdef object append_text(bytearray out, int code, bytes data)
@cython.locals(start=cython.Py_ssize_t)
cpdef Py_ssize_t begin_map(bytearray out) except -1
@cython.locals(size=cython.Py_ssize_t)
cpdef object close_compound(bytearray out, Py_ssize_t start, Py_ssize_t count)

cpdef object append_wide_size(bytearray out, int code, Py_ssize_t size)
cdef bytes _utf8(object value)
cdef object _append_int(bytearray out, object value)
cdef object _append(bytearray out, object value, bint bare, int depth)
cdef object _append_other(bytearray out, object value, bint bare, int depth)
cdef object _check_depth(int depth)
cdef object _append_list(bytearray out, list items, bint bare, int depth)
cdef object _append_map(bytearray out, object items, bint bare, int depth)
cdef object _append_array(bytearray out, object array, bint bare, int depth)
cdef object _append_element(bytearray out, object value, str element, bint bare, int depth)
cdef object _append_wide_element(bytearray out, object value, bint bare, int depth)
@cython.locals(start=cython.Py_ssize_t)
cdef object _append_safely(bytearray out, object value, bint bare, int depth)
