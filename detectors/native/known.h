/* The texts that are known. */

static uint64_t text_hash(Judge *self, int32_t column, const uint8_t *text, size_t length) {
    return hash_of(text, length, self->seed + (uint64_t)column * 0x5851F42D4C957F2Du);
}

static uint32_t tag_of(uint64_t hash) { return (uint32_t)(hash >> 32) | 1; }

/* The place of a text among the known ones: its own, or an empty one, whose tag is 0; NULL if all
   are taken. */
static Known *place_of(Judge *self, int32_t column, const uint8_t *text, size_t length,
                       uint64_t hash) {
    for (uint32_t probe = 0; probe < PROBES; probe++) {
        const uint32_t place = (uint32_t)(hash + probe) & (PLACES - 1), tag = self->tags[place];
        Known *one = &self->known[place];
        if (!tag) return one;
        if (tag == tag_of(hash) && one->hash == hash && one->column == column &&
            one->length == length && !memcmp(self->arena + one->start, text, length))
            return one;
    }
    return NULL;
}

static void will_look(const Judge *self, uint64_t hash) {
#if defined(__GNUC__)
    const uint32_t place = (uint32_t)hash & (PLACES - 1);
    __builtin_prefetch(&self->tags[place]);
    __builtin_prefetch(&self->known[place]);
#else
    (void)self, (void)hash;
#endif
}

static int is_new(const Judge *self, const Known *place) {
    return !self->tags[place - self->known];
}

static void keep_at(Judge *self, Known *place, Known one) {
    const uint32_t number = (uint32_t)(place - self->known);
    *place = one;
    self->tags[number] = tag_of(one.hash);
    self->order[self->known_count++] = number;
}

static void forget_all(Judge *self) {
    memset(self->tags, 0, PLACES * sizeof *self->tags);
    self->known_count = self->arena_used = self->pool_used = 0;
}

/* Whether little room is left. */
static int is_full(Judge *self) {
    return self->known_count > MAX_KNOWN / 4 * 3 || self->arena_used > ARENA / 4 * 3 ||
           self->pool_used > POOL / 4 * 3;
}

/* Forget the texts that were not met again since the last time; all, if those are few. What is left
   moves to the front of where it is, in the order in which it came. */
static void make_room(Judge *self) {
    uint32_t count = 0, used = 0, told = 0;
    for (uint32_t i = 0; i < self->known_count; i++) {
        const Known *one = &self->known[self->order[i]];
        if (one->used) self->left[count++] = *one;
    }
    memset(self->tags, 0, PLACES * sizeof *self->tags);
    self->known_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        Known one = self->left[i];
        uint8_t *text = self->arena + used;
        memmove(text, self->arena + one.start, one.length);
        Known *place = place_of(self, one.column, text, one.length, one.hash);
        if (!place) continue;
        memmove(self->pool + told, self->pool + one.first, one.count * sizeof *self->pool);
        one.start = used;
        one.first = told;
        one.used = 0;
        used += one.length;
        told += one.count;
        keep_at(self, place, one);
    }
    self->arena_used = used;
    self->pool_used = told;
    if (is_full(self)) forget_all(self);
}

/* Judges a text and takes it in at its place: whether that can be done. */
static int take(Judge *self, Known *place, Shape *shape, int column, const uint8_t *text,
                size_t length, uint64_t hash) {
    if (!place || length > MAX_TEXT || length > ARENA - self->arena_used ||
        self->known_count >= MAX_KNOWN)
        return 0;
    const uint32_t first = self->pool_used;
    const int told = text_told(self, shape, &shape->columns[column], text, length);
    if (told == OPAQUE) {
        self->pool_used = first;
        return 0;
    }
    memcpy(self->arena + self->arena_used, text, length);
    keep_at(self, place,
            (Known){.hash = hash,
                    .start = self->arena_used,
                    .length = (uint32_t)length,
                    .column = shape->first_column + column,
                    .first = first,
                    .count = self->pool_used - first,
                    .unsure = told == UNTOLD});
    self->arena_used += (uint32_t)length;
    return 1;
}
