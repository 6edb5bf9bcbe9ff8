/* Conditions of rules over what is true. A condition is numbers: an operator, how many numbers it
   takes with it, and its parts; or IS and an atom; or what it is in any case. */

enum { IS, ALL, SOME, NEGATED, FALSE_, TRUE_, UNKNOWN };
enum { NO, YES, MAYBE };

static const int32_t *behind(const int32_t *at) {
    return at + (*at == IS ? 2 : *at >= FALSE_ ? 1 : at[1]);
}

/* Of an atom that was put off, whether it is true of the line under way. */
static int put_off_told(Judge *self, const Shape *shape, uint32_t atom) {
    const Column *column = &shape->columns[shape->column_of[atom]];
    const int piece = shape->piece_of[shape->column_of[atom]];
    const uint8_t *text = self->line->texts[piece];
    const size_t length = self->line->lengths[piece];
    if (!length) return NO;
    if (length > MAX_TEXT) return MAYBE;
    if (self->reading != text) {
        self->length = read_text(self, text, length, &self->reading_wide);
        self->reading = text;
    }
    if (self->length == SIZE_MAX) return MAYBE;
    if (self->length < shape->least[atom]) return NO;
    uint32_t sets = shape->sets[atom];
    int perhaps = 0;
    for (int32_t i = shape->later[atom]; i != NONE; i = column->next[i]) {
        const Literal *one = &column->literals[i];
        if (!is_found(column, one, self->plain, self->low, self->length)) continue;
        if (one->kind & UNSURE) {
            sets &= ~(1u << (one->kind >> SET_BITS));
            perhaps = 1;
            continue;
        }
        if (!(one->kind & TO_MATCH)) return YES;
        /* One character may be several bytes. */
        if (self->reading_wide) return MAYBE;
        const Glob *glob = &shape->globs[shape->glob_of[atom] - 1];
        const uint8_t *whole = glob->cased ? self->plain : self->low;
        return glob_matches(shape->glob_bytes + glob->start, glob->length, whole, self->length)
                   ? YES
                   : NO;
    }
    if (!perhaps || sets) return NO;
    const uint32_t machine = shape->machine_of[atom];
    if (!machine || self->reading_wide) return MAYBE;
    return machine_finds(shape, &shape->machines[machine - 1], self->plain, self->length) ? YES : NO;
}

static int is_true(Judge *self, Shape *shape, uint32_t atom) {
    if (shape->true_in[atom] == shape->look) return YES;
    if (shape->unsure_in[atom] == shape->look) return MAYBE;
    if (!shape->off[atom] || shape->false_in[atom] == shape->look) return NO;
    const int found = put_off_told(self, shape, atom);
    (found == YES ? shape->true_in : found == NO ? shape->false_in : shape->unsure_in)[atom] =
        shape->look;
    return found;
}

static int holds(Judge *self, Shape *shape, const int32_t *at) {
    switch (*at) {
    case IS: return is_true(self, shape, (uint32_t)at[1]);
    case FALSE_: return NO;
    case TRUE_: return YES;
    case UNKNOWN: return MAYBE;
    case NEGATED: {
        const int inner = holds(self, shape, at + 2);
        return inner == MAYBE ? MAYBE : inner == NO ? YES : NO;
    }
    }
    const int settles = *at == ALL ? NO : YES;
    const int32_t *end = at + at[1];
    int all = settles == NO ? YES : NO;
    for (const int32_t *part = at + 2; part < end; part = behind(part)) {
        const int one = holds(self, shape, part);
        if (one == settles) return one;
        if (one == MAYBE) all = MAYBE;
    }
    return all;
}

/* Whether the condition in code[at, end) is well made: behind it, or NONE. */
static int64_t code_end(const int32_t *code, int64_t at, int64_t end, uint32_t atoms, int depth) {
    if (at >= end || depth > MAX_DEPTH) return NONE;
    const int32_t what = code[at];
    if (what == IS)
        return end - at >= 2 && code[at + 1] >= 0 && (uint32_t)code[at + 1] < atoms ? at + 2 : NONE;
    if (what >= FALSE_ && what <= UNKNOWN) return at + 1;
    if (what < IS || what > UNKNOWN || end - at < 2) return NONE;
    const int64_t last = at + code[at + 1];
    if (code[at + 1] < 3 || last > end) return NONE;
    int64_t parts = 0;
    for (at += 2; at < last; parts++)
        if ((at = code_end(code, at, last, atoms, depth + 1)) == NONE) return NONE;
    return at == last && (what != NEGATED || parts == 1) ? at : NONE;
}

/* Notes the atoms of a condition that are not sure. */
static void note_unsure(Shape *shape, const int32_t *at, const int32_t *end) {
    while (at < end) {
        if (*at == IS && shape->unsure_in[at[1]] == shape->look)
            shape->needed_in[at[1]] = shape->look;
        at += *at == IS || *at <= NEGATED ? 2 : 1;
    }
}

/* Whether a rule that was not looked at yet may match; its number goes into `numbers`, or what it
   still depends on is noted. */
static int asked(Judge *self, Shape *shape, uint32_t rule, PyObject *numbers) {
    if (shape->asked_in[rule] == shape->look) return 0;
    shape->asked_in[rule] = shape->look;
    const int32_t *code = shape->code + shape->rules[rule].start;
    const int found = holds(self, shape, code);
    if (found == NO) return 0;
    if (!numbers) {
        if (found == MAYBE) note_unsure(shape, code, code + shape->rules[rule].length);
        return 1;
    }
    PyObject *number = PyLong_FromUnsignedLong(shape->rules[rule].number);
    const int failed = !number || PyList_Append(numbers, number) < 0;
    Py_XDECREF(number);
    return failed ? -1 : 1;
}

/* Whether a rule may match a line of which these are the texts, and which, if `numbers` is given;
   the line is `counted` once. */
static int matched(Judge *self, Shape *shape, const uint32_t *places, size_t count,
                   PyObject *numbers, int counted) {
    int any = 0;
    shape->rows += counted;
    if (!count && !shape->free.count) return 0;
    next_look(shape);
    for (size_t i = 0; i < count; i++) {
        const Known *text = &self->known[places[i]];
        for (uint32_t a = 0; a < text->count; a++) {
            const uint32_t told = self->pool[text->first + a];
            const uint32_t state = told & ((1u << TOLD_BITS) - 1);
            if (state == WRONG) continue;
            (state == SURE ? shape->true_in : shape->unsure_in)[told >> TOLD_BITS] = shape->look;
            shape->met[told >> TOLD_BITS] += counted;
        }
    }
    for (size_t i = 0; i < shape->free.count; i++) {
        const int one = asked(self, shape, shape->free.items[i], numbers);
        if (one < 0) return -1;
        any |= one;
    }
    for (size_t i = 0; i < count; i++) {
        const Known *text = &self->known[places[i]];
        for (uint32_t a = 0; a < text->count; a++) {
            const uint32_t told = self->pool[text->first + a], atom = told >> TOLD_BITS;
            if ((told & ((1u << TOLD_BITS) - 1)) == WRONG) continue;
            const uint32_t *gates = shape->gate_starts.items;
            for (uint32_t g = gates[atom]; g < gates[atom + 1]; g++) {
                const int one = asked(self, shape, shape->gates.items[g], numbers);
                if (one < 0) return -1;
                any |= one;
            }
        }
    }
    return any;
}
