/* What the judge holds, and its limits. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>

#define FORM 5         /* of what is told and asked: see __init__.py */
#define MAX_COLUMNS 128 /* of a shape */
#define MAX_SHAPES 4096
#define MAX_ATOMS (1u << 18) /* of all shapes */
#define MAX_DEPTH 64        /* of a rule's condition */
#define BUCKETS 4096        /* of shapes by name */
#define COMMON (1u << 16)   /* grams that are counted */
#define PLACES (1u << 15)   /* for known texts */
#define MAX_KNOWN (PLACES / 2)
#define PROBES 32
#define ARENA (2u << 20)     /* bytes of known texts */
#define POOL (1u << 20)      /* what is true of known texts */
#define MAX_TEXT (16u << 10) /* longer ones are not judged */
#define MAX_STRANGE 16
#define NONE (-1)
#define PARTS 9 /* of osquery's envelope */

/* A literal of a column. All but a cased one are in lower case. That it stands in a text makes its
   atom true, or has a pattern tried, or with UNSURE it is one of a set above `SET_BITS`: if each set
   that the atom needs has one, it is perhaps true. Only the set that is the rarest in a sample is
   searched for, the `later` ones where one of it stands. An atom that is put off is not searched for
   in a text when that is new, but when a rule is looked at that depends on it. */
enum { AT_START = 1, AT_END = 2, CASED = 4, TO_MATCH = 8, UNSURE = 16, SET_BITS = 8, SETS = 8 };
typedef struct {
    uint32_t start, length, atom, kind;
} Literal;

/* Literals by some bytes of theirs, the gram: a bit says whether there are any, `next` links those
   of one head, of which there is one for `BITS_A_HEAD` bits. */
enum { BITS_A_HEAD = 16 };
typedef struct {
    uint64_t *bits;
    int32_t *heads;
    uint32_t shift, count;
} Grams;
enum { LONG, SHORT, SINGLE, GRAM_KINDS }; /* of 4, 2 and 1 bytes */
enum { FEW = 16 };
#define PUT_OFF UINT32_MAX

/* An atom that holds for whole numbers from `low` to `high`, for the others, for IPv4 addresses
   between the two, or for those of IPv6 perhaps. */
enum { WITHIN, OUTSIDE, IPV4, IPV6 };
typedef struct {
    int64_t atom, low, high, kind;
} Number;

typedef struct {
    uint32_t *items;
    size_t count;
} Numbers;

/* What rules ask of one column: what its literals say, atoms that only the caller can tell (`wide`:
   and only of texts that are not ASCII), those about numbers, and those that hold for the empty text
   and for every other. */
typedef struct {
    uint8_t *bytes;
    Literal *literals;
    int32_t *next;
    uint32_t *offsets, *gram_of; /* of those put off the offset is PUT_OFF */
    size_t literal_count;
    Grams grams[GRAM_KINDS];
    int32_t single; /* the first of few literals of one byte, or NONE: these are in no gram's list */
    Numbers hard, wide, empty, filled;
    Number *numbers;
    size_t number_count;
} Column;

/* A pattern with ANY for any run of bytes and ONE for one. */
enum { ANY = 0, ONE = 1 };
typedef struct {
    uint32_t atom, start, length, cased;
} Glob;

/* A table of states that tells whether a text of ASCII holds a match: from `classes` on the column
   of each byte, from `table` on so many rows of `width` states that follow, the last column for the
   end. MATCHED stands for all that follows a match. It is gone through `at_once` where it may match,
   or else where a verdict depends on it. */
enum { ASCII = 128, MATCHED = 0xffff };
typedef struct {
    uint32_t atom, classes, table, states, width, at_once;
} Machine;

typedef struct {
    uint32_t number, start, length;
} Rule;

typedef struct {
    uint32_t start, length; /* of the bytes before the text, in the shape's own */
    int32_t column;         /* of the shape's; NONE if no rule asks */
    int words;              /* asked about for words only, which no number holds */
} Piece;

/* One query's rows with certain columns. A rule of which no atom need be true is among `free`, the
   others are looked at if one of those atoms is true of which `gates` (from `gate_starts` on) name
   them. */
typedef struct {
    char *name;
    size_t name_length;
    char *bytes;
    Piece *pieces;
    int count, next; /* next: another shape of the bucket, or NONE */
    Column *columns;
    int column_count, first_column;
    uint8_t *glob_bytes;
    Glob *globs;
    uint32_t *glob_of; /* by atom: one more than the place of its pattern */
    size_t glob_count;
    uint8_t *classes;
    uint16_t *table;
    Machine *machines;
    uint32_t *machine_of; /* by atom: one more than the place of its machine */
    size_t machine_count;
    int32_t *code;
    Rule *rules;
    size_t rule_count;
    uint32_t atom_count;
    Numbers free, gate_starts, gates;
    uint8_t *sets;              /* by atom, as bits: which sets of literals it needs */
    int32_t *later;             /* by atom: the first literal that is not searched for, or NONE */
    uint8_t *off;               /* by atom: whether it is put off */
    int *column_of;             /* by atom, where it has literals */
    int *piece_of;              /* by column */
    uint32_t *least;            /* by atom: how many bytes a text has of which it is true */
    /* In which look: atoms that were true, or perhaps true; or that were asked for; rules; atoms that
       were put off and are false. */
    uint32_t *true_in, *unsure_in, *needed_in, *asked_in, *false_in;
    uint32_t look;
    uint32_t *met, rows; /* how often each atom was true or perhaps true, in how many rows */
} Shape;

/* A text of a column, and where in the pool stands what is true of it: see `Told`. */
typedef struct {
    uint64_t hash;
    uint32_t start, length;
    int32_t column; /* over all shapes */
    uint32_t first, count;
    uint8_t used;   /* since the last clearing */
    uint8_t unsure; /* whether something of it is not sure */
} Known;

/* An atom in the pool: its number, above what is known of it. */
enum { SURE = 0, PERHAPS = 1, ASKED = 2, WRONG = 3, TOLD_BITS = 2 };

/* A text of which the caller is asked: its place, and from where on in `questions`. */
typedef struct {
    uint32_t place, first, count;
} Pending;

/* A line that is not dropped yet. Of a judged one `shape`, and the places of its texts. */
typedef struct {
    Py_ssize_t index, start, end;
    Shape *shape;
    uint32_t first, count;
} Item;

/* What was read of one line. */
typedef struct {
    const uint8_t *end; /* behind its newline */
    Shape *shape;
    const uint8_t *texts[MAX_COLUMNS];
    size_t lengths[MAX_COLUMNS];
} Line;

typedef struct {
    PyObject_HEAD
    uint64_t seed;
    int eight; /* whether texts are looked at in eight places at once */
    Shape *shapes;
    int shape_count, column_count;
    uint32_t atom_count;
    int buckets[BUCKETS];
    Known *known;
    uint32_t *tags;  /* a part of the hash of each known text, or 0 */
    uint32_t *order; /* the places of known texts as they came */
    Known *left;     /* those that are kept when the others are forgotten */
    uint32_t known_count, arena_used, pool_used;
    uint8_t *arena;
    uint32_t *pool;
    uint8_t *low, *unescaped;
    size_t length; /* of the text that is judged */
    const uint8_t *plain; /* the text that is judged, as it reads; `low` is the same in lower case */
    const uint8_t *reading; /* the text in the line under way of which these are, or NULL */
    int reading_wide;
    const Line *line; /* the line under way */
    int parts[PARTS]; /* of the envelope, as they stood in the line before */
    uint16_t *common;     /* how often grams stand in a sample */
    /* Of the block under way. */
    Py_buffer view;
    int open;
    Py_ssize_t lines;
    uint64_t *marks; /* of its bytes */
    size_t mark_room;
    Marked marked;
    Item *items;
    size_t item_count, item_room;
    uint32_t *places; /* of the texts of all items */
    size_t place_count, place_room;
    Pending *pending;
    size_t pending_count, pending_room;
    uint32_t *questions; /* the places in the pool of atoms that are asked about */
    size_t question_count, question_room;
    PyObject *strange;
} Judge;

enum { NOT_PLAIN, PLAIN, STRANGE };
