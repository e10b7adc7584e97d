# C types of signatures.py; see "Compiled mode" in docs/design.md.

cdef extern from *:
    """
    static int uamqp_put_into_class(PyObject *kind, PyObject *name, PyObject *value) {
        int failed = PyDict_SetItem(((PyTypeObject *)kind)->tp_dict, name, value);
        PyType_Modified((PyTypeObject *)kind);
        return failed;
    }
    """
    # Python's own refuses to set an attribute of an extension type; this leaves the C slot of the name as it is.
    int setattr "uamqp_put_into_class"(object kind, str name, object value) except -1


cdef class Slot:
    cdef readonly object wrapper
