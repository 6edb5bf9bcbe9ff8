/* Literals found in a text by a few bytes of each, which few others share. */

static const uint32_t GRAM_BYTES[GRAM_KINDS] = {4, 2, 1};

static inline uint8_t lowered(uint8_t byte) {
    return (uint8_t)(byte + ((uint8_t)(byte - 'A') < 26) * 32);
}

static inline uint32_t gram_at(const uint8_t *at, int kind) {
    uint32_t found = at[0];
    uint16_t pair;
    if (kind == LONG) {
        memcpy(&found, at, 4);
    } else if (kind == SHORT) {
        memcpy(&pair, at, 2);
        found = pair;
    }
    return found;
}

#define GRAM_FACTOR 0x9E3779B1u

static inline uint32_t gram_slot(uint32_t gram, uint32_t shift) {
    return (gram * GRAM_FACTOR) >> shift;
}

static inline int has_slot(const Grams *grams, uint32_t slot) {
    return grams->bits[slot >> 6] >> (slot & 63) & 1;
}

static int kind_for(uint32_t length) { return length >= 4 ? LONG : length >= 2 ? SHORT : SINGLE; }

/* Room for the grams of `count` literals: whether there was memory. */
static int grams_room(Grams *grams, uint32_t count) {
    uint32_t bits = 6;
    /* About one slot in 128 is taken. */
    while (bits < 20 && (1u << bits) < 128 * count) bits++;
    grams->shift = 32 - bits;
    grams->count = count;
    grams->bits = PyMem_Calloc(1u << (bits - 6), sizeof *grams->bits);
    grams->heads = PyMem_Malloc((sizeof *grams->heads << bits) / BITS_A_HEAD);
    if (!grams->bits || !grams->heads) return -1;
    for (uint32_t i = 0; i < (1u << bits) / BITS_A_HEAD; i++) grams->heads[i] = NONE;
    return 0;
}

/* Counts the grams of a sample, letter case aside. */
static void count_grams(uint16_t *common, const uint8_t *data, size_t length) {
    for (int kind = 0; kind < GRAM_KINDS; kind++)
        for (size_t at = 0; at + GRAM_BYTES[kind] <= length; at++) {
            uint8_t low[4];
            for (uint32_t b = 0; b < GRAM_BYTES[kind]; b++) low[b] = lowered(data[at + b]);
            uint16_t *count = &common[gram_slot(gram_at(low, kind), 16)];
            if (*count < UINT16_MAX) ++*count;
        }
}

/* How often the rarest gram of a literal stands in a sample. */
static uint32_t commonness(const Column *column, const Literal *one, const uint16_t *common) {
    const int kind = kind_for(one->length);
    uint32_t least = UINT16_MAX;
    for (uint32_t at = 0; at + GRAM_BYTES[kind] <= one->length; at++) {
        uint8_t low[4];
        for (uint32_t b = 0; b < GRAM_BYTES[kind]; b++)
            low[b] = lowered(column->bytes[one->start + at + b]);
        const uint32_t count = common[gram_slot(gram_at(low, kind), 16)];
        if (count < least) least = count;
    }
    return least;
}

/* Puts off the literals of atoms that are put off, and of one that needs several sets all but those
   of the rarest: whether there was memory. They are `later`, linked by `next`. */
static int put_off(const Column *column, Shape *shape, const uint16_t *common) {
    uint64_t *costs = PyMem_Calloc(((size_t)shape->atom_count + 1) * SETS, sizeof *costs);
    if (!costs) return -1;
    for (size_t i = 0; i < column->literal_count; i++) {
        const Literal *one = &column->literals[i];
        if (one->kind & UNSURE)
            costs[one->atom * SETS + (one->kind >> SET_BITS)] +=
                1 + commonness(column, one, common);
    }
    for (size_t i = 0; i < column->literal_count; i++) {
        const Literal *one = &column->literals[i];
        column->offsets[i] = 0;
        if (!shape->off[one->atom]) {
            if (!(one->kind & UNSURE)) continue;
            const uint64_t *mine = costs + one->atom * SETS;
            uint32_t best = one->kind >> SET_BITS;
            for (uint32_t set = SETS; set--;)
                if (mine[set] && mine[set] <= mine[best]) best = set;
            if (best == one->kind >> SET_BITS) continue;
        }
        column->offsets[i] = PUT_OFF;
        column->next[i] = shape->later[one->atom];
        shape->later[one->atom] = (int32_t)i;
    }
    PyMem_Free(costs);
    return 0;
}

/* Puts each other literal under that of its grams which is the rarest, in a sample and among literals. */
static int grams_from(Column *column, const uint16_t *common) {
    uint32_t counts[GRAM_KINDS] = {0};
    uint16_t *taken = PyMem_Malloc(COMMON * sizeof *taken);
    if (!taken) return -1;
    memcpy(taken, common, COMMON * sizeof *taken);
    for (size_t i = 0; i < column->literal_count; i++)
        if (column->offsets[i] != PUT_OFF) counts[kind_for(column->literals[i].length)]++;
    const int few = counts[SINGLE] <= FEW;
    column->single = NONE;
    if (few) counts[SINGLE] = 0;
    for (int kind = 0; kind < GRAM_KINDS; kind++)
        if (grams_room(&column->grams[kind], counts[kind]) < 0) {
            PyMem_Free(taken);
            return -1;
        }
    /* How often each gram stands in literals, roughly. */
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < column->literal_count; i++) {
            const Literal *one = &column->literals[i];
            const int kind = kind_for(one->length);
            if (column->offsets[i] == PUT_OFF) continue;
            if (kind == SINGLE && few) {
                if (!pass) continue;
                column->offsets[i] = 0;
                column->next[i] = column->single;
                column->single = (int32_t)i;
                continue;
            }
            uint8_t low[4];
            uint32_t best = 0, best_count = UINT32_MAX, best_gram = 0;
            for (uint32_t at = 0; at + GRAM_BYTES[kind] <= one->length; at++) {
                for (uint32_t b = 0; b < GRAM_BYTES[kind]; b++)
                    low[b] = lowered(column->bytes[one->start + at + b]);
                const uint32_t gram = gram_at(low, kind), slot = gram_slot(gram, 16);
                if (!pass) {
                    if (taken[slot] < UINT16_MAX) taken[slot]++;
                } else if (taken[slot] < best_count) {
                    best = at;
                    best_count = taken[slot];
                    best_gram = gram;
                }
            }
            if (!pass) continue;
            Grams *grams = &column->grams[kind];
            const uint32_t slot = gram_slot(best_gram, grams->shift);
            column->offsets[i] = best;
            column->gram_of[i] = best_gram;
            column->next[i] = grams->heads[slot / BITS_A_HEAD];
            grams->heads[slot / BITS_A_HEAD] = (int32_t)i;
            grams->bits[slot >> 6] |= 1ull << (slot & 63);
        }
    PyMem_Free(taken);
    return 0;
}

/* Whether a literal of which the gram stands at `at` is there as it should be. */
static int is_there(const Column *column, size_t index, const uint8_t *plain, const uint8_t *low,
                    size_t at, size_t length) {
    const Literal *one = &column->literals[index];
    const size_t before = column->offsets[index];
    if (at < before || length - (at - before) < one->length) return 0;
    const size_t begin = at - before;
    if ((one->kind & AT_START && begin) || (one->kind & AT_END && begin + one->length != length))
        return 0;
    const uint8_t *text = one->kind & CASED ? plain : low;
    return is_same(text + begin, column->bytes + one->start, one->length);
}

/* Whether a literal that is not searched for stands anywhere, as it should. */
static int is_found(const Column *column, const Literal *one, const uint8_t *plain,
                    const uint8_t *low, size_t length) {
    if (one->length > length) return 0;
    const uint8_t *text = one->kind & CASED ? plain : low, *want = column->bytes + one->start;
    const uint8_t *at = text, *last = text + (length - one->length);
    if (one->kind & AT_END) at = last;
    if (one->kind & AT_START) last = text;
    while (at <= last && (at = memchr(at, want[0], (size_t)(last - at) + 1))) {
        if (is_same(at, want, one->length)) return 1;
        at++;
    }
    return 0;
}

/* Whether a literal of one byte is there as it should be. */
static int is_single_there(const Column *column, const Literal *one, const uint8_t *plain,
                           const uint8_t *low, size_t length) {
    const uint8_t *text = one->kind & CASED ? plain : low, byte = column->bytes[one->start];
    if (!(one->kind & (AT_START | AT_END))) return memchr(text, byte, length) != NULL;
    return (!(one->kind & AT_START) || text[0] == byte) &&
           (!(one->kind & AT_END) || text[length - 1] == byte) &&
           ((one->kind & (AT_START | AT_END)) != (AT_START | AT_END) || length == 1);
}
