/* What is true of a text. */

/* Of a text: it cannot be judged; all of it is sure; not all of it is. */
enum { OPAQUE, TOLD, UNTOLD };

/* Has `plain` be the text as it reads, and `low` the same in lower case: its length, or SIZE_MAX if
   it has escapes of characters (\u) or what may be osquery's own spelling of one (\x), which mean
   different things in different rows. */
static size_t read_text(Judge *self, const uint8_t *text, size_t length, int *wide) {
    uint8_t *plain = self->unescaped, *low = self->low;
    size_t out = 0;
    uint8_t seen = 0;
    if (!memchr(text, '\\', length)) {
        for (size_t i = 0; i < length; i++) {
            low[i] = lowered(text[i]);
            seen |= text[i];
        }
        self->plain = text;
        *wide = seen >> 7;
        return length;
    }
    self->plain = plain;
    for (size_t i = 0; i < length; i++, out++) {
        uint8_t byte = text[i];
        if (byte == '\\') {
            switch (text[++i]) {
            case 'b': byte = '\b'; break;
            case 'f': byte = '\f'; break;
            case 'n': byte = '\n'; break;
            case 'r': byte = '\r'; break;
            case 't': byte = '\t'; break;
            case 'u': return SIZE_MAX;
            default: byte = text[i];
            }
        } else if (byte == 'x' && out && plain[out - 1] == '\\') {
            return SIZE_MAX;
        }
        plain[out] = byte;
        low[out] = lowered(byte);
        seen |= byte;
    }
    *wide = seen >> 7;
    return out;
}

/* A plain decimal number that has one spelling: whether it is one. */
static int whole_number(const uint8_t *text, size_t length, int64_t *value) {
    const int minus = length && *text == '-';
    const size_t digits = length - (size_t)minus;
    int64_t found = 0;
    if (!digits || digits > 18) return 0;
    for (size_t i = (size_t)minus; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return 0;
        found = 10 * found + (text[i] - '0');
    }
    *value = minus ? -found : found;
    return 1;
}

/* Could the text be another spelling of a number? Signs, digits and points only. */
static int numberlike(const uint8_t *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if ((text[i] < '0' || text[i] > '9') && text[i] != '.' && text[i] != '+' && text[i] != '-')
            return 0;
    return length > 0;
}

/* The address of four numbers, or NONE. */
static int64_t address(const uint8_t *text, size_t length) {
    int64_t found = 0;
    size_t at = 0;
    for (int part = 0; part < 4; part++) {
        int value = 0;
        const size_t first = at;
        while (at < length && at - first < 3 && text[at] >= '0' && text[at] <= '9')
            value = 10 * value + (text[at++] - '0');
        if (at == first || value > 255 || (text[first] == '0' && at - first > 1)) return NONE;
        if (part < 3 && (at == length || text[at++] != '.')) return NONE;
        found = found << 8 | value;
    }
    return at == length ? found : NONE;
}

/* Adds an atom to what is true of the text under way: whether that is not sure, or NONE if it does
   not fit. What only longer texts can have is not true of it. */
static int add(Judge *self, Shape *shape, uint32_t atom, int unsure) {
    if (shape->true_in[atom] == shape->look || self->length < shape->least[atom]) return 0;
    if (self->pool_used == POOL) return NONE;
    shape->true_in[atom] = shape->look;
    self->pool[self->pool_used++] = atom << TOLD_BITS | (unsure ? PERHAPS : SURE);
    return unsure;
}

/* Adds an atom of which all that is certain to be there is there. */
static int add_needed(Judge *self, Shape *shape, uint32_t atom, int wide) {
    const uint32_t number = shape->machine_of[atom];
    const Machine *machine = number ? &shape->machines[number - 1] : NULL;
    if (wide || !machine || !machine->at_once) return add(self, shape, atom, 1);
    if (shape->true_in[atom] == shape->look || self->length < shape->least[atom]) return 0;
    if (machine_finds(shape, machine, self->plain, self->length))
        return add(self, shape, atom, 0);
    /* Asked once; what is true of the text is what was added. */
    shape->true_in[atom] = shape->look;
    return 0;
}

static void next_look(Shape *shape) {
    if (++shape->look) return;
    uint32_t *by_atom[] = {shape->true_in, shape->unsure_in, shape->needed_in, shape->false_in};
    for (int i = 0; i < 4; i++)
        memset(by_atom[i], 0, (shape->atom_count + 1) * sizeof *by_atom[i]);
    memset(shape->asked_in, 0, (shape->rule_count + 1) * sizeof *shape->asked_in);
    shape->look = 1;
}

/* Whether of each set that an atom needs one stands, beside that of which one was found. */
static int all_there(Judge *self, const Shape *shape, const Column *column, const Literal *one,
                     size_t length) {
    uint32_t there = 1u << (one->kind >> SET_BITS);
    for (int32_t i = shape->later[one->atom]; i != NONE; i = column->next[i]) {
        const Literal *other = &column->literals[i];
        const uint32_t set = 1u << (other->kind >> SET_BITS);
        if (!(there & set) && is_found(column, other, self->plain, self->low, length))
            there |= set;
    }
    return !(shape->sets[one->atom] & ~there);
}

/* One literal that is there. */
static int found(Judge *self, Shape *shape, const Column *column, const Literal *one,
                 size_t length, int wide) {
    const uint32_t atom = one->atom;
    if (!(one->kind & (TO_MATCH | UNSURE))) return add(self, shape, atom, 0);
    if (shape->unsure_in[atom] == shape->look) return 0;
    shape->unsure_in[atom] = shape->look;
    if (one->kind & UNSURE)
        return all_there(self, shape, column, one, length) ? add_needed(self, shape, atom, wide) : 0;
    /* One character may be several bytes. */
    if (wide) return add(self, shape, atom, 1);
    const Glob *glob = &shape->globs[shape->glob_of[atom] - 1];
    const uint8_t *text = glob->cased ? self->plain : self->low;
    if (!glob_matches(shape->glob_bytes + glob->start, glob->length, text, length)) return 0;
    return add(self, shape, atom, 0);
}

/* The literals of which this gram stands at `at`. */
static int stand_at(Judge *self, Shape *shape, const Column *column, int32_t first, uint32_t gram,
                    size_t at, size_t length, int wide) {
    int unsure = 0;
    for (int32_t i = first; i != NONE; i = column->next[i]) {
        if (column->gram_of[i] != gram) continue;
        if (!is_there(column, (size_t)i, self->plain, self->low, at, length)) continue;
        const int one = found(self, shape, column, &column->literals[i], length, wide);
        if (one < 0) return -1;
        unsure |= one;
    }
    return unsure;
}

/* Looks for the literals of one kind: nothing else is done for a byte that is none of their grams. */
static inline int searched_kind(Judge *self, Shape *shape, const Column *column, const int kind,
                                size_t length, int wide) {
    const Grams grams = column->grams[kind];
    const uint8_t *low = self->low;
    int unsure = 0;
    for (size_t at = 0; at < length; at++) {
        const uint32_t gram = gram_at(low + at, kind), slot = gram_slot(gram, grams.shift);
        if (!has_slot(&grams, slot)) continue;
        const int32_t first = grams.heads[slot / BITS_A_HEAD];
        const int one = stand_at(self, shape, column, first, gram, at, length, wide);
        if (one < 0) return -1;
        unsure |= one;
    }
    return unsure;
}

#ifdef HAS_EIGHT
/* The same at eight places at once. */
__attribute__((target("avx2"))) static inline int searched_eight(Judge *self, Shape *shape,
                                                                 const Column *column,
                                                                 const int kind, size_t length,
                                                                 int wide) {
    const Grams grams = column->grams[kind];
    const uint8_t *low = self->low;
    int unsure = 0;
    for (size_t from = 0; from < length; from += EIGHT) {
        uint32_t places = eight_at(&grams, kind, low + from);
        if (length - from < EIGHT) places &= (1u << (length - from)) - 1;
        for (; places; places &= places - 1) {
            const size_t at = from + (size_t)lowest(places);
            const uint32_t gram = gram_at(low + at, kind), slot = gram_slot(gram, grams.shift);
            const int32_t first = grams.heads[slot / BITS_A_HEAD];
            const int one = stand_at(self, shape, column, first, gram, at, length, wide);
            if (one < 0) return -1;
            unsure |= one;
        }
    }
    return unsure;
}
#endif

/* Looks for the literals of one kind, as this processor does it best. */
static int searched_for(Judge *self, Shape *shape, const Column *column, const int kind,
                        size_t length, int wide) {
#ifdef HAS_EIGHT
    if (self->eight)
        return kind == LONG    ? searched_eight(self, shape, column, LONG, length, wide)
               : kind == SHORT ? searched_eight(self, shape, column, SHORT, length, wide)
                               : searched_eight(self, shape, column, SINGLE, length, wide);
#endif
    return kind == LONG    ? searched_kind(self, shape, column, LONG, length, wide)
           : kind == SHORT ? searched_kind(self, shape, column, SHORT, length, wide)
                           : searched_kind(self, shape, column, SINGLE, length, wide);
}

/* Looks for all literals; behind the text there are zeros, so that a gram can be read at its end. */
static int searched(Judge *self, Shape *shape, const Column *column, size_t length, int wide) {
    int unsure = 0;
    memset(self->low + length, 0, BEHIND);
    for (int32_t i = column->single; i != NONE; i = column->next[i]) {
        const Literal *one = &column->literals[i];
        if (!is_single_there(column, one, self->plain, self->low, length)) continue;
        const int unsure_now = found(self, shape, column, one, length, wide);
        if (unsure_now < 0) return -1;
        unsure |= unsure_now;
    }
    for (int kind = 0; kind < GRAM_KINDS; kind++) {
        if (!column->grams[kind].count) continue;
        const int one = searched_for(self, shape, column, kind, length, wide);
        if (one < 0) return -1;
        unsure |= one;
    }
    return unsure;
}

static int numbers(Judge *self, Shape *shape, const Column *column, size_t length) {
    int64_t value = 0;
    const int whole = whole_number(self->plain, length, &value);
    const int doubtful = !whole && numberlike(self->plain, length);
    const int64_t place = address(self->plain, length);
    /* Of IPv6, or with a zone. */
    const int other = memchr(self->plain, ':', length) || memchr(self->plain, '%', length);
    int unsure = 0;
    for (size_t i = 0; i < column->number_count; i++) {
        const Number *one = &column->numbers[i];
        int perhaps = 0;
        if (one->kind == IPV4 || one->kind == IPV6) {
            const int inside = one->kind == IPV4 && place >= one->low && place <= one->high;
            if (!other && !(place != NONE && inside)) continue;
            perhaps = other;
        } else {
            const int inside = value >= one->low && value <= one->high;
            if (!doubtful && (!whole || inside != (one->kind == WITHIN))) continue;
            perhaps = doubtful;
        }
        const int added = add(self, shape, (uint32_t)one->atom, perhaps);
        if (added < 0) return -1;
        unsure |= added;
    }
    return unsure;
}

/* What is true of a text, put into the pool. */
static int text_told(Judge *self, Shape *shape, const Column *column, const uint8_t *text,
                     size_t length) {
    int wide = 0, unsure = 0;
    next_look(shape);
    length = read_text(self, text, length, &wide);
    if (length == SIZE_MAX) return OPAQUE;
    self->length = length;
    const Numbers *whole = length ? &column->filled : &column->empty;
    for (size_t i = 0; i < whole->count; i++)
        if (add(self, shape, whole->items[i], 0) < 0) return OPAQUE;
    if (!length) return TOLD;
    const Numbers *others[] = {&column->hard, &column->wide};
    for (int k = 0; k < (wide ? 2 : 1); k++)
        for (size_t i = 0; i < others[k]->count; i++) {
            const int one = add_needed(self, shape, others[k]->items[i], wide);
            if (one < 0) return OPAQUE;
            unsure |= one;
        }
    const int literal = searched(self, shape, column, length, wide);
    const int number = column->number_count ? numbers(self, shape, column, length) : 0;
    if (literal < 0 || number < 0) return OPAQUE;
    return unsure | literal | number ? UNTOLD : TOLD;
}
