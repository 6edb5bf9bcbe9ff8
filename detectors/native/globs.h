/* Patterns with wildcards over a whole text of single bytes. */

static int glob_matches(const uint8_t *pattern, size_t pattern_length, const uint8_t *text,
                        size_t length) {
    size_t at = 0, place = 0, again = 0, from = SIZE_MAX;
    while (at < length) {
        if (place < pattern_length && pattern[place] == ANY) {
            from = ++place;
            again = at;
        } else if (place < pattern_length &&
                   (pattern[place] == ONE || pattern[place] == text[at])) {
            place++;
            at++;
        } else if (from != SIZE_MAX) {
            place = from;
            at = ++again;
        } else {
            return 0;
        }
    }
    while (place < pattern_length && pattern[place] == ANY) place++;
    return place == pattern_length;
}
