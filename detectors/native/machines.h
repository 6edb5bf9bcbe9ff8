/* Regular expressions as tables of states: see `matching/machines.py`. */

/* Whether a text of ASCII holds a match. */
static int machine_finds(const Shape *shape, const Machine *one, const uint8_t *text,
                         size_t length) {
    const uint8_t *classes = shape->classes + one->classes;
    const uint16_t *table = shape->table + one->table;
    const size_t width = one->width;
    size_t state = 0;
    for (size_t at = 0; at < length; at++) {
        state = table[state * width + classes[text[at]]];
        if (state == MATCHED) return 1;
    }
    return table[state * width + width - 1] == MATCHED;
}
