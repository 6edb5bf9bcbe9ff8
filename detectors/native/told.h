/* What the judge is told and asked, as methods of a Python type. */

static void close_block(Judge *self) {
    if (self->open) PyBuffer_Release(&self->view);
    self->open = 0;
    Py_CLEAR(self->strange);
}

/* The texts that the caller is asked about, each with its column and what is asked of it. */
static PyObject *waiting(Judge *self) {
    PyObject *found = PyList_New(0);
    for (size_t i = 0; found && i < self->pending_count; i++) {
        const Pending *pending = &self->pending[i];
        const Known *one = &self->known[pending->place];
        PyObject *atoms = PyList_New(0);
        for (uint32_t q = 0; atoms && q < pending->count; q++) {
            const uint32_t told = self->pool[self->questions[pending->first + q]];
            if (keep(atoms, PyLong_FromUnsignedLong(told >> TOLD_BITS)) < 0) Py_CLEAR(atoms);
        }
        PyObject *text = !atoms ? NULL
                                : Py_BuildValue("iy#O", (int)one->column, self->arena + one->start,
                                                (Py_ssize_t)one->length, atoms);
        Py_XDECREF(atoms);
        if (keep(found, text) < 0) Py_CLEAR(found);
    }
    return found;
}

static PyObject *judge_begin(Judge *self, PyObject *data) {
    /* What a block that was not ended brought may still wait. */
    if (self->open) forget_all(self);
    close_block(self);
    if (is_full(self)) make_room(self);
    if (PyObject_GetBuffer(data, &self->view, PyBUF_SIMPLE) < 0) return NULL;
    self->open = 1;
    self->lines = 0;
    self->item_count = self->place_count = self->pending_count = self->question_count = 0;
    self->strange = PyList_New(0);
    PyObject *found = NULL;
    if (self->strange && read_block(self) == 0) found = waiting(self);
    if (!found) {
        forget_all(self);
        close_block(self);
    }
    return found;
}

/* Whether each of what was asked about one text is true. */
static int answered(Judge *self, const Pending *pending, PyObject *answers) {
    if (!PyList_Check(answers) || PyList_Size(answers) != (Py_ssize_t)pending->count)
        return wrong("not as many answers as questions");
    for (uint32_t q = 0; q < pending->count; q++) {
        uint32_t *told = &self->pool[self->questions[pending->first + q]];
        const int is_true = PyObject_IsTrue(PyList_GetItem(answers, (Py_ssize_t)q));
        if (is_true < 0) return -1;
        *told = *told >> TOLD_BITS << TOLD_BITS | (is_true ? SURE : WRONG);
    }
    return 0;
}

static PyObject *judge_end(Judge *self, PyObject *answers) {
    if (!self->open || !PyList_Check(answers) ||
        (size_t)PyList_Size(answers) != self->pending_count) {
        wrong("no block was begun, or other texts waited");
        return NULL;
    }
    PyObject *kept = PyList_New(0), *found = NULL;
    int failed = !kept;
    for (size_t i = 0; !failed && i < self->pending_count; i++)
        failed = answered(self, &self->pending[i], PyList_GetItem(answers, (Py_ssize_t)i));
    if (!failed && give(self, kept) == 0)
        found = Py_BuildValue("nOO", self->lines, kept, self->strange);
    Py_XDECREF(kept);
    if (!found) forget_all(self);
    close_block(self);
    return found;
}

static PyObject *judge_shape(Judge *self, PyObject *told) {
    if (self->open || self->shape_count >= MAX_SHAPES) {
        wrong("too many shapes, or a block is open");
        return NULL;
    }
    Shape shape = {.first_column = self->column_count};
    if (shape_from_told(self, &shape, told) < 0) {
        shape_free(&shape);
        return NULL;
    }
    int *bucket = &self->buckets[bucket_of(self, (const uint8_t *)shape.name, shape.name_length)];
    shape.next = *bucket;
    *bucket = self->shape_count;
    self->column_count += shape.column_count;
    self->atom_count += shape.atom_count;
    self->shapes[self->shape_count++] = shape;
    return PyLong_FromLong(shape.first_column);
}

/* How many rows of a shape there were, and in how many each atom was true or perhaps true. */
static PyObject *judge_counts(Judge *self, PyObject *index) {
    const long number = PyLong_AsLong(index);
    if (PyErr_Occurred()) return NULL;
    if (number < 0 || number >= self->shape_count) {
        wrong("no such shape");
        return NULL;
    }
    const Shape *shape = &self->shapes[number];
    return Py_BuildValue("Iy#", shape->rows, shape->met,
                         (Py_ssize_t)(shape->atom_count * sizeof *shape->met));
}

static PyObject *judge_observe(Judge *self, PyObject *data) {
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) return NULL;
    count_grams(self->common, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    Py_RETURN_NONE;
}

static PyObject *judge_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs)) {
    unsigned long long seed;
    int plainly = 0;
    if (!PyArg_ParseTuple(args, "K|p", &seed, &plainly)) return NULL;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Judge *self = (Judge *)alloc(type, 0);
    if (!self) return NULL;
    self->seed = seed;
    self->eight = !plainly && can_eight();
    for (int i = 0; i < BUCKETS; i++) self->buckets[i] = NONE;
    self->shapes = PyMem_Calloc(MAX_SHAPES, sizeof *self->shapes);
    self->known = PyMem_Malloc(PLACES * sizeof *self->known);
    self->arena = PyMem_Malloc(ARENA);
    self->pool = PyMem_Malloc(POOL * sizeof *self->pool);
    self->tags = PyMem_Malloc(PLACES * sizeof *self->tags);
    self->order = PyMem_Malloc(MAX_KNOWN * sizeof *self->order);
    self->left = PyMem_Malloc(MAX_KNOWN * sizeof *self->left);
    self->unescaped = PyMem_Malloc(MAX_TEXT);
    self->low = PyMem_Malloc(MAX_TEXT + BEHIND);
    self->common = PyMem_Calloc(COMMON, sizeof *self->common);
    if (!self->common || !self->shapes || !self->known || !self->arena || !self->pool ||
        !self->tags || !self->order || !self->left || !self->unescaped || !self->low) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    forget_all(self);
    return (PyObject *)self;
}

static void judge_dealloc(Judge *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    close_block(self);
    if (self->shapes)
        for (int i = 0; i < self->shape_count; i++) shape_free(&self->shapes[i]);
    void *held[] = {self->shapes,  self->known,     self->tags,   self->order,   self->left,
                    self->arena,   self->pool,      self->low,    self->unescaped, self->common,
                    self->items,   self->marks,     self->places,    self->pending, self->questions};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) PyMem_Free(held[i]);
    freefunc done = (freefunc)PyType_GetSlot(type, Py_tp_free);
    done(self);
    Py_DECREF(type);
}

static PyMethodDef METHODS[] = {
    {"begin", (PyCFunction)judge_begin, METH_O,
     "begin(block): the texts that wait, each as (column, text, atoms)"},
    {"end", (PyCFunction)judge_end, METH_O,
     "end(for each text whether each atom is true of it): (lines, kept, strange)"},
    {"counts", (PyCFunction)judge_counts, METH_O,
     "counts(shape): how many rows of it there were, and in how many each atom was perhaps true"},
    {"observe", (PyCFunction)judge_observe, METH_O,
     "observe(sample): search for what is rare in it, in shapes that are told from now on"},
    {"shape", (PyCFunction)judge_shape, METH_VARARGS,
     "shape(…): the number of its first column that is asked about"},
    {NULL, NULL, 0, NULL}};

static PyType_Slot SLOTS[] = {{Py_tp_new, judge_new},
                              {Py_tp_dealloc, judge_dealloc},
                              {Py_tp_methods, METHODS},
                              {0, NULL}};
static PyType_Spec SPEC = {"molehunt.detectors.native._judge.Judge", sizeof(Judge), 0,
                           Py_TPFLAGS_DEFAULT, SLOTS};

/* How many newlines there are. */
static PyObject *count_lines(PyObject *Py_UNUSED(module), PyObject *data) {
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) return NULL;
    const uint8_t *at = view.buf, *end = at + view.len;
    Py_ssize_t count = 0;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
        at++;
        count++;
    }
    PyBuffer_Release(&view);
    return PyLong_FromSsize_t(count);
}

static PyMethodDef FUNCTIONS[] = {
    {"count_lines", count_lines, METH_O, "count_lines(data): how many newlines there are"},
    {NULL, NULL, 0, NULL}};

static int module_exec(PyObject *module) {
    PyObject *type = PyType_FromModuleAndSpec(module, &SPEC, NULL);
    const int failed = !type || PyModule_AddObjectRef(module, "Judge", type) < 0 ||
                       PyModule_AddIntConstant(module, "FORM", FORM) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot MODULE_SLOTS[] = {{Py_mod_exec, module_exec}, {0, NULL}};
static struct PyModuleDef MODULE = {.m_base = PyModuleDef_HEAD_INIT,
                                    .m_name = "_judge",
                                    .m_methods = FUNCTIONS,
                                    .m_slots = MODULE_SLOTS};

PyMODINIT_FUNC PyInit__judge(void) { return PyModuleDef_Init(&MODULE); }
