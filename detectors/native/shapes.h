/* A shape as the caller describes it. Everything in it is looked at before it is used: it may have
   been kept in a file. */

static int wrong(const char *what) {
    PyErr_SetString(PyExc_ValueError, what);
    return -1;
}

/* A copy of bytes that are so many items of a size, and a little room; their number into `count`. */
static void *copied(PyObject *bytes, size_t size, size_t *count) {
    char *from;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(bytes, &from, &length) < 0) return NULL;
    if ((size_t)length % size || (size_t)length > UINT32_MAX / 2) {
        wrong("bytes of another length");
        return NULL;
    }
    *count = (size_t)length / size;
    void *copy = PyMem_Malloc((size_t)length + size);
    if (!copy) PyErr_NoMemory();
    else memcpy(copy, from, (size_t)length);
    return copy;
}

static int numbers_from(Numbers *numbers, PyObject *bytes, uint32_t below) {
    numbers->items = copied(bytes, sizeof *numbers->items, &numbers->count);
    if (!numbers->items) return -1;
    for (size_t i = 0; i < numbers->count; i++)
        if (numbers->items[i] >= below) return wrong("a number out of range");
    return 0;
}

static int column_from(Judge *self, Column *column, PyObject *told, Shape *shape) {
    PyObject *bytes, *literals, *hard, *wide, *empty, *filled, *numbers;
    size_t length;
    if (!PyArg_ParseTuple(told, "SSSSSSS", &bytes, &literals, &hard, &wide, &empty, &filled,
                          &numbers) ||
        !(column->bytes = copied(bytes, 1, &length)) ||
        !(column->literals =
              copied(literals, sizeof *column->literals, &column->literal_count)) ||
        !(column->numbers = copied(numbers, sizeof *column->numbers, &column->number_count)) ||
        numbers_from(&column->hard, hard, shape->atom_count) < 0 ||
        numbers_from(&column->wide, wide, shape->atom_count) < 0 ||
        numbers_from(&column->empty, empty, shape->atom_count) < 0 ||
        numbers_from(&column->filled, filled, shape->atom_count) < 0)
        return -1;
    for (size_t i = 0; i < column->number_count; i++)
        if (column->numbers[i].atom < 0 || column->numbers[i].atom >= shape->atom_count)
            return wrong("a number out of range");
    for (size_t i = 0; i < column->literal_count; i++) {
        const Literal *one = &column->literals[i];
        if (one->atom >= shape->atom_count || !one->length || one->length > MAX_TEXT ||
            one->start > length || one->length > length - one->start ||
            (one->kind & TO_MATCH && !shape->glob_of[one->atom]) ||
            (one->kind & UNSURE && one->kind >> SET_BITS >= SETS))
            return wrong("a literal out of range");
        const int index = (int)(column - shape->columns);
        int *of = &shape->column_of[one->atom];
        if (*of != NONE && *of != index) return wrong("an atom of several columns");
        *of = index;
    }
    column->next = PyMem_Malloc((column->literal_count + 1) * sizeof *column->next);
    column->offsets = PyMem_Malloc((column->literal_count + 1) * sizeof *column->offsets);
    column->gram_of = PyMem_Malloc((column->literal_count + 1) * sizeof *column->gram_of);
    if (!column->next || !column->offsets || !column->gram_of ||
        put_off(column, shape, self->common) < 0 || grams_from(column, self->common) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static void column_free(Column *column) {
    for (int kind = 0; kind < GRAM_KINDS; kind++) {
        PyMem_Free(column->grams[kind].bits);
        PyMem_Free(column->grams[kind].heads);
    }
    void *held[] = {column->bytes,      column->literals,   column->next,
                    column->offsets,    column->gram_of,    column->hard.items, column->wide.items,
                    column->empty.items, column->filled.items, column->numbers};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) PyMem_Free(held[i]);
}

static void shape_free(Shape *shape) {
    for (int i = 0; shape->columns && i < shape->column_count; i++)
        column_free(&shape->columns[i]);
    void *held[] = {shape->name,       shape->bytes,   shape->pieces,
                    shape->columns,    shape->glob_bytes, shape->globs,
                    shape->glob_of,    shape->code,    shape->rules,
                    shape->free.items, shape->gate_starts.items, shape->gates.items,
                    shape->true_in,    shape->unsure_in, shape->needed_in, shape->asked_in,
                    shape->sets,       shape->later,    shape->met, shape->least,
                    shape->off,        shape->column_of, shape->piece_of, shape->false_in,
                    shape->classes,    shape->table,   shape->machines, shape->machine_of};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) PyMem_Free(held[i]);
}

/* The pieces of a shape from what stands before each text, and how rules ask about it: 0 not at
   all, 1 by its name, 2 for words. */
static int pieces_from(Shape *shape, PyObject *fronts, PyObject *asked) {
    const Py_ssize_t count = PyList_Size(fronts);
    size_t total = 0, asks_count;
    if (count < 1 || count > MAX_COLUMNS) return wrong("too few or too many columns");
    uint8_t *asks = copied(asked, 1, &asks_count);
    if (!asks) return -1;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *front = PyList_GetItem(fronts, i);
        total += PyBytes_Check(front) ? (size_t)PyBytes_Size(front) : UINT32_MAX;
    }
    shape->bytes = total < UINT32_MAX ? PyMem_Malloc(total + 1) : NULL;
    shape->pieces = PyMem_Calloc((size_t)count, sizeof *shape->pieces);
    shape->piece_of = PyMem_Calloc((size_t)count, sizeof *shape->piece_of);
    if (!shape->bytes || !shape->pieces || !shape->piece_of || asks_count != (size_t)count) {
        PyMem_Free(asks);
        return wrong("columns that cannot be read");
    }
    uint32_t used = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *front = PyList_GetItem(fronts, i);
        const uint32_t length = (uint32_t)PyBytes_Size(front);
        memcpy(shape->bytes + used, PyBytes_AsString(front), length);
        const int column = asks[i] ? shape->column_count++ : NONE;
        if (column != NONE) shape->piece_of[column] = (int)i;
        shape->pieces[i] = (Piece){used, length, column, asks[i] == 2};
        used += length;
    }
    PyMem_Free(asks);
    shape->count = (int)count;
    return 0;
}

static int columns_from(Judge *self, Shape *shape, PyObject *columns) {
    if (PyList_Size(columns) != shape->column_count) return wrong("other columns than asked");
    shape->columns = PyMem_Calloc((size_t)shape->column_count + 1, sizeof *shape->columns);
    if (!shape->columns) {
        PyErr_NoMemory();
        return -1;
    }
    for (int i = 0; i < shape->column_count; i++)
        if (column_from(self, &shape->columns[i], PyList_GetItem(columns, i), shape) < 0)
            return -1;
    return 0;
}

static int globs_from(Shape *shape, PyObject *bytes, PyObject *globs) {
    size_t length;
    if (!(shape->glob_bytes = copied(bytes, 1, &length)) ||
        !(shape->globs = copied(globs, sizeof *shape->globs, &shape->glob_count)))
        return -1;
    for (size_t i = 0; i < shape->glob_count; i++) {
        const Glob *one = &shape->globs[i];
        if (one->atom >= shape->atom_count || one->start > length ||
            one->length > length - one->start)
            return wrong("a pattern out of range");
        shape->glob_of[one->atom] = (uint32_t)i + 1;
    }
    return 0;
}

static int machines_from(Shape *shape, PyObject *classes, PyObject *table, PyObject *machines) {
    size_t bytes, cells;
    if (!(shape->classes = copied(classes, 1, &bytes)) ||
        !(shape->table = copied(table, sizeof *shape->table, &cells)) ||
        !(shape->machines = copied(machines, sizeof *shape->machines, &shape->machine_count)))
        return -1;
    for (size_t i = 0; i < shape->machine_count; i++) {
        const Machine *one = &shape->machines[i];
        const uint64_t size = (uint64_t)one->states * one->width;
        if (one->atom >= shape->atom_count || bytes < ASCII || one->classes > bytes - ASCII ||
            !one->states || one->width < 2 || one->width > ASCII + 1 || one->table > cells ||
            size > cells - one->table)
            return wrong("a machine out of range");
        for (int byte = 0; byte < ASCII; byte++)
            if (shape->classes[one->classes + byte] >= one->width - 1)
                return wrong("a class out of range");
        for (uint64_t cell = 0; cell < size; cell++) {
            const uint16_t state = shape->table[one->table + cell];
            if (state >= one->states && state != MATCHED) return wrong("a state out of range");
        }
        shape->machine_of[one->atom] = (uint32_t)i + 1;
    }
    return 0;
}

static int rules_from(Shape *shape, PyObject *code, PyObject *rules) {
    size_t length;
    if (!(shape->code = copied(code, sizeof *shape->code, &length)) ||
        !(shape->rules = copied(rules, sizeof *shape->rules, &shape->rule_count)))
        return -1;
    for (size_t i = 0; i < shape->rule_count; i++) {
        const Rule *one = &shape->rules[i];
        const int64_t end = (int64_t)one->start + one->length;
        if (end > (int64_t)length ||
            code_end(shape->code, one->start, end, shape->atom_count, 0) != end)
            return wrong("a condition that is not well made");
    }
    return 0;
}

static int gates_from(Shape *shape, PyObject *free_rules, PyObject *starts, PyObject *gates) {
    if (numbers_from(&shape->free, free_rules, (uint32_t)shape->rule_count) < 0 ||
        numbers_from(&shape->gates, gates, (uint32_t)shape->rule_count) < 0 ||
        numbers_from(&shape->gate_starts, starts, (uint32_t)shape->gates.count + 1) < 0)
        return -1;
    if (shape->gate_starts.count != shape->atom_count + 1) return wrong("gates of other atoms");
    const uint32_t *gate = shape->gate_starts.items;
    for (uint32_t i = 0; i < shape->atom_count; i++)
        if (shape->off[i] && (shape->column_of[i] == NONE || gate[i] != gate[i + 1]))
            return wrong("an atom put off that cannot be");
    return 0;
}

static int shape_from_told(Judge *self, Shape *shape, PyObject *told) {
    PyObject *name, *fronts, *asked, *columns, *glob_bytes, *globs, *code, *rules, *free_rules;
    PyObject *starts, *gates, *sets, *least, *off, *classes, *table, *machines;
    size_t set_count, least_count, off_count;
    if (!PyArg_ParseTuple(told, "SO!SSSSO!SSSSSSSSSS", &name, &PyList_Type, &fronts, &asked, &sets,
                          &least, &off, &PyList_Type, &columns, &glob_bytes, &globs, &classes,
                          &table, &machines, &code, &rules, &free_rules, &starts, &gates) ||
        !(shape->sets = copied(sets, 1, &set_count)) ||
        !(shape->least = copied(least, sizeof *shape->least, &least_count)) ||
        !(shape->off = copied(off, 1, &off_count)))
        return -1;
    if (set_count >= MAX_ATOMS - self->atom_count) return wrong("too many atoms");
    if (least_count != set_count || off_count != set_count)
        return wrong("what is said of other atoms");
    shape->atom_count = (uint32_t)set_count;
    shape->later = PyMem_Malloc((shape->atom_count + 1) * sizeof *shape->later);
    shape->column_of = PyMem_Malloc((shape->atom_count + 1) * sizeof *shape->column_of);
    shape->false_in = PyMem_Calloc(shape->atom_count + 1, sizeof *shape->false_in);
    shape->met = PyMem_Calloc(shape->atom_count + 1, sizeof *shape->met);
    shape->glob_of = PyMem_Calloc(shape->atom_count + 1, sizeof *shape->glob_of);
    shape->machine_of = PyMem_Calloc(shape->atom_count + 1, sizeof *shape->machine_of);
    shape->true_in = PyMem_Calloc(shape->atom_count + 1, sizeof *shape->true_in);
    shape->unsure_in = PyMem_Calloc(shape->atom_count + 1, sizeof *shape->unsure_in);
    shape->needed_in = PyMem_Calloc(shape->atom_count + 1, sizeof *shape->needed_in);
    if (!shape->later || !shape->column_of || !shape->false_in || !shape->met || !shape->glob_of || !shape->machine_of ||
        !shape->true_in || !shape->unsure_in || !shape->needed_in) {
        PyErr_NoMemory();
        return -1;
    }
    for (uint32_t i = 0; i <= shape->atom_count; i++)
        shape->later[i] = shape->column_of[i] = NONE;
    if (!(shape->name = copied(name, 1, &shape->name_length)) ||
        globs_from(shape, glob_bytes, globs) < 0 ||
        machines_from(shape, classes, table, machines) < 0 || pieces_from(shape, fronts, asked) < 0 ||
        columns_from(self, shape, columns) < 0 || rules_from(shape, code, rules) < 0 ||
        gates_from(shape, free_rules, starts, gates) < 0)
        return -1;
    shape->asked_in = PyMem_Calloc(shape->rule_count + 1, sizeof *shape->asked_in);
    if (!shape->asked_in) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}
