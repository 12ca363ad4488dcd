/* Included before each compiled module: a digest of its sources, and where tracebacks find them.
 *
 * `builds.py` looks for the digest in a compiled file, to tell whether it was made of what stands beside it.
 *
 * Cython names their file as the compiler was given it, pullback/core/engine/op.pxi. Python would look for
 * that below the program's folder, or for its last part along sys.path, and may show a line of another file.
 * Here it becomes the file in the installed package; one from elsewhere gets a name that no file has.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

#define PB_QUOTED2(text) #text
#define PB_QUOTED(text) PB_QUOTED2(text)
const char pullback_sources[] = "pullback sources " PB_QUOTED(PB_SOURCES);

static PyCodeObject *code_in_package(const char *file, const char *function, int line) {
    PyObject *package = PyDict_GetItemString(PyImport_GetModuleDict(), "pullback");
    PyObject *init = package ? PyModule_GetFilenameObject(package) : NULL;
    PyObject *full = init ? PyUnicode_EncodeFSDefault(init) : NULL;
    PyCodeObject *code;
    PyErr_Clear();
    if (full && strncmp(file, "pullback", 8) == 0) {
        const Py_ssize_t folder = PyBytes_GET_SIZE(full) - (Py_ssize_t)strlen("__init__.py");
        PyObject *name = PyBytes_FromStringAndSize(PyBytes_AS_STRING(full), folder);
        PyBytes_ConcatAndDel(&name, PyBytes_FromString(file + strlen("pullback/")));
        Py_SETREF(full, name);
    }
    else {
        Py_CLEAR(full);
    }
    code = PyCode_NewEmpty(full ? PyBytes_AS_STRING(full) : "<compiled>", function, line);
    Py_XDECREF(full);
    Py_XDECREF(init);
    return code;
}

#define PyCode_NewEmpty code_in_package
