/* Lines as osqueryd writes them, read strictly. */

/* Mostly of a few bytes, for which no function is called. */
static inline int is_same(const uint8_t *one, const uint8_t *other, size_t length) {
    uint64_t left, right;
    for (; length >= 8; one += 8, other += 8, length -= 8) {
        memcpy(&left, one, 8);
        memcpy(&right, other, 8);
        if (left != right) return 0;
    }
    for (; length; one++, other++, length--)
        if (*one != *other) return 0;
    return 1;
}

static uint64_t mixed(uint64_t value) {
    value *= 0x9E3779B97F4A7C15u;
    return value ^ (value >> 29);
}

static uint64_t hash_of(const uint8_t *text, size_t length, uint64_t seed) {
    uint64_t hash = mixed(seed ^ length), part;
    if (length >= 16) {
        /* Two at once: neither waits for the other. */
        uint64_t other = ~seed, second;
        for (; length >= 16; text += 16, length -= 16) {
            memcpy(&part, text, 8);
            memcpy(&second, text + 8, 8);
            hash = mixed(hash ^ part);
            other = mixed(other ^ second);
        }
        hash ^= mixed(other);
    }
    for (; length >= 8; text += 8, length -= 8) {
        memcpy(&part, text, 8);
        hash = mixed(hash ^ part);
    }
    if (length) {
        part = 0;
        memcpy(&part, text, length);
        hash = mixed(hash ^ part);
    }
    return mixed(hash);
}

/* The columns' object at `at`, read as a shape of the line's query: behind its brace, or NULL. */
static const uint8_t *columns_end(Shape *shape, const Marked *in, const uint8_t *at, Line *line) {
    const uint8_t *end = in->end;
    for (int i = 0; i < shape->count; i++) {
        const Piece *piece = &shape->pieces[i];
        if ((size_t)(end - at) < piece->length ||
            !is_same(at, (const uint8_t *)shape->bytes + piece->start, piece->length))
            return NULL;
        at += piece->length;
        line->texts[i] = at;
        at = text_end(in, at);
        if (!at) return NULL;
        line->lengths[i] = (size_t)(at - line->texts[i]);
    }
    return end - at >= 2 && at[0] == '"' && at[1] == '}' ? at + 2 : NULL;
}

/* The parts of osquery's envelope, each of which may stand once (osquery/core/query.cpp). */
static const struct {
    const char *spelt;
    size_t length;
} ENVELOPE[] = {{",\"hostIdentifier\":", 18}, {",\"columns\":", 11},  {",\"decorations\":", 15},
                {",\"calendarTime\":", 16},   {",\"unixTime\":", 12}, {",\"epoch\":", 9},
                {",\"counter\":", 11},        {",\"numerics\":", 12}, {",\"action\":", 10}};
enum { HOST, COLUMNS, DECORATIONS };

static int is_part(int part, const uint8_t *at, const uint8_t *end) {
    return (size_t)(end - at) >= ENVELOPE[part].length &&
           is_same(at, (const uint8_t *)ENVELOPE[part].spelt, ENVELOPE[part].length);
}

/* Which part of the envelope begins at `at`, most probably that which did in the line before. */
static int part_at(int *before, const uint8_t *at, const uint8_t *end) {
    if (is_part(*before, at, end)) return *before;
    for (int part = 0; part < PARTS; part++)
        if (is_part(part, at, end)) return *before = part;
    return NONE;
}

static Shape *shape_from(Judge *self, int index, const uint8_t *name, size_t length) {
    for (; index >= 0; index = self->shapes[index].next) {
        Shape *shape = &self->shapes[index];
        if (shape->name_length == length && !memcmp(shape->name, name, length)) return shape;
    }
    return NULL;
}

static int bucket_of(Judge *self, const uint8_t *name, size_t length) {
    return (int)(hash_of(name, length, self->seed) & (BUCKETS - 1));
}

/* Behind the columns at `at`, whose shape is noted if it is known; NULL if they are not plain. */
static const uint8_t *columns_of(Judge *self, const uint8_t *name, size_t length,
                                 const uint8_t *at, Line *line) {
    int index = self->buckets[bucket_of(self, name, length)];
    Shape *shape;
    while ((shape = shape_from(self, index, name, length))) {
        const uint8_t *behind = columns_end(shape, &self->marked, at, line);
        if (behind) {
            line->shape = shape;
            return behind;
        }
        index = shape->next;
    }
    return object_end(&self->marked, at);
}

/* Reads the line that begins at `at`. It is strange if its shape is not known. */
static int read_line(Judge *self, const uint8_t *at, Line *line) {
    static const char front[] = "{\"name\":\"";
    const size_t front_length = sizeof front - 1;
    const Marked *in = &self->marked;
    const uint8_t *end = in->end;
    unsigned seen = 0;

    if ((size_t)(end - at) < front_length || memcmp(at, front, front_length)) return NOT_PLAIN;
    const uint8_t *name = at + front_length;
    if (!(at = text_end(in, name))) return NOT_PLAIN;
    const size_t length = (size_t)(at - name);
    /* A name that is spelled otherwise would be another to `shape_from`. */
    if (memchr(name, '\\', length)) return NOT_PLAIN;
    line->shape = NULL;
    at++;
    for (int *before = self->parts; at < end && *at == ','; before++) {
        const int part = before < self->parts + PARTS ? part_at(before, at, end) : NONE;
        if (part < 0 || seen >> part & 1) return NOT_PLAIN;
        seen |= 1u << part;
        at += ENVELOPE[part].length;
        if (part == COLUMNS)
            at = columns_of(self, name, length, at, line);
        else
            at = part == DECORATIONS ? object_end(in, at) : scalar_end(in, at);
        if (!at) return NOT_PLAIN;
    }
    const unsigned needed = 1u << HOST | 1u << COLUMNS;
    if (at >= end || *at != '}' || (seen & needed) != needed) return NOT_PLAIN;
    at++;
    if (at < end && *at == '\r') at++;
    if (at >= end || *at != '\n') return NOT_PLAIN;
    line->end = at + 1;
    return line->shape ? PLAIN : STRANGE;
}
