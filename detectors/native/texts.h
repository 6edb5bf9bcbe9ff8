/* Texts and flat values in JSON, read strictly: what these accept, every JSON reader accepts. */

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#define HAS_SSE2 1
#endif

/* Some bytes, and a bit for each that may end a text or is not plainly part of one: quotes,
   backslashes, control characters, bytes beyond ASCII. One more bit stands behind the last byte. */
typedef struct {
    const uint8_t *data, *end;
    const uint64_t *bits;
} Marked;

/* How many words of bits so many bytes take. */
static size_t mark_words(size_t length) { return (length >> 6) + 1; }

static int is_mark(uint8_t byte) {
    return byte == '"' || byte == '\\' || byte < 0x20 || byte >= 0x80;
}

static uint64_t marks_of(const uint8_t *at) {
    uint64_t found = 0;
#ifdef HAS_SSE2
    for (int i = 0; i < 4; i++) {
        const __m128i part = _mm_loadu_si128((const __m128i *)(at + 16 * i));
        /* Bytes are signed here: those of wide characters are below zero. */
        const __m128i marks = _mm_or_si128(
            _mm_or_si128(_mm_cmpeq_epi8(part, _mm_set1_epi8('"')),
                         _mm_cmpeq_epi8(part, _mm_set1_epi8('\\'))),
            _mm_cmplt_epi8(part, _mm_set1_epi8(0x20)));
        found |= (uint64_t)(uint32_t)_mm_movemask_epi8(marks) << (16 * i);
    }
#else
    for (int i = 0; i < 64; i++) found |= (uint64_t)is_mark(at[i]) << i;
#endif
    return found;
}

static void mark(uint64_t *bits, const uint8_t *data, size_t length) {
    size_t at = 0;
    for (; length - at >= 64; at += 64) *bits++ = marks_of(data + at);
    *bits = 1ull << (length - at);
    for (size_t i = at; i < length; i++) *bits |= (uint64_t)is_mark(data[i]) << (i - at);
}

static int lowest(uint64_t mask) {
#if defined(__GNUC__)
    return __builtin_ctzll(mask);
#else
    int bit = 0;
    while (!(mask >> bit & 1)) bit++;
    return bit;
#endif
}

static int is_hex(uint8_t byte) {
    return (byte >= '0' && byte <= '9') || ((byte | 32) >= 'a' && (byte | 32) <= 'f');
}

/* Behind the escape at a backslash; NULL if there is none such, or of half a pair (UTF-16), which
   readers take differently. */
static const uint8_t *escape_end(const uint8_t *at, const uint8_t *end) {
    if (end - at < 2) return NULL;
    switch (at[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return at + 2;
    case 'u':
        if (end - at < 6) return NULL;
        for (int i = 2; i < 6; i++)
            if (!is_hex(at[i])) return NULL;
        return (at[2] | 32) == 'd' && at[3] >= '8' ? NULL : at + 6;
    }
    return NULL;
}

/* Behind the character of several bytes at `at` (RFC 3629), or NULL. */
static const uint8_t *wide_end(const uint8_t *at, const uint8_t *end) {
    const uint8_t first = *at;
    const int more = first < 0xC2 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : first < 0xF5 ? 3 : 0;
    if (!more || end - at <= more) return NULL;
    for (int i = 1; i <= more; i++)
        if ((at[i] & 0xC0) != 0x80) return NULL;
    if ((first == 0xE0 && at[1] < 0xA0) || (first == 0xED && at[1] > 0x9F) ||
        (first == 0xF0 && at[1] < 0x90) || (first == 0xF4 && at[1] > 0x8F))
        return NULL;
    return at + more + 1;
}

/* The first mark from `at` on. */
static inline const uint8_t *next_mark(const Marked *in, const uint8_t *at) {
    const size_t place = (size_t)(at - in->data);
    const uint64_t *word = &in->bits[place >> 6];
    const uint64_t here = *word >> (place & 63);
    if (here) return at + lowest(here);
    do word++;
    while (!*word);
    return in->data + 64 * (word - in->bits) + lowest(*word);
}

/* The closing quote of the text that goes on at a mark; NULL if it is no valid text. */
static const uint8_t *text_end_from(const Marked *in, const uint8_t *at) {
    for (;; at = next_mark(in, at)) {
        if (at >= in->end || *at < 0x20) return NULL;
        if (*at == '"') return at;
        at = *at == '\\' ? escape_end(at, in->end) : wide_end(at, in->end);
        if (!at) return NULL;
    }
}

/* The closing quote of the text whose content begins at `at`; NULL if it is no valid text. */
static inline const uint8_t *text_end(const Marked *in, const uint8_t *at) {
    at = next_mark(in, at);
    return at < in->end && *at == '"' ? at : text_end_from(in, at);
}

static int is_digits(const uint8_t *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (text[i] < '0' || text[i] > '9') return 0;
    return 1;
}

/* Behind the text, whole number or truth value at `at`, or NULL. */
static const uint8_t *scalar_end(const Marked *in, const uint8_t *at) {
    const uint8_t *end = in->end;
    if (at >= end) return NULL;
    if (*at == '"') {
        at = text_end(in, at + 1);
        return at ? at + 1 : NULL;
    }
    if (end - at >= 4 && !memcmp(at, "true", 4)) return at + 4;
    if (end - at >= 5 && !memcmp(at, "false", 5)) return at + 5;
    if (*at == '-') at++;
    const uint8_t *first = at;
    while (at < end && *at >= '0' && *at <= '9') at++;
    /* Behind it must not stand what would make it another number. */
    const int many = at - first > 1;
    if (at == first || (many && *first == '0') || at - first > 18) return NULL;
    return at < end && (*at == ',' || *at == '}') ? at : NULL;
}

/* Behind the object of texts and such at `at`, or NULL. */
static const uint8_t *object_end(const Marked *in, const uint8_t *at) {
    const uint8_t *end = in->end;
    if (end - at < 2 || *at != '{') return NULL;
    if (at[1] == '}') return at + 2;
    do {
        at++;
        if (at >= end || *at != '"' || !(at = text_end(in, at + 1))) return NULL;
        if (end - at < 2 || at[1] != ':' || !(at = scalar_end(in, at + 2)) || at >= end)
            return NULL;
    } while (*at == ',');
    return *at == '}' ? at + 1 : NULL;
}
