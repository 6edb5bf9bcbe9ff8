/* Which lines of a block of osquery's log rules match, told from the texts of their columns.

   A line is *plain* if it is one row as osqueryd writes it in event format, in valid JSON without
   blanks, with columns in an order that the caller has described (a shape). What a rule asks of one
   column (an atom: that it contains something, say) is worked out for each text once, when it is
   new, and kept; the caller is asked about what is not told here, such as regular expressions. A
   plain line that no rule may match is dropped; whatever is not plain is kept for those who look
   closer. See ../matching/judge.py for how it is used.

   Nothing is read outside the block: each byte is compared with its end first, and a newline, as
   every control character, ends a text in failure. */

#include "texts.h"

#include "judge.h"

#include "lines.h"

#include "grams.h"

#include "eight.h"

#include "globs.h"
#include "machines.h"

#include "atoms.h"

#include "known.h"

#include "rules.h"

/* Looks the texts of a line up, judges the new ones, and notes their places in `item`. OPAQUE: one
   cannot be judged; UNTOLD: not all of it is sure. */
static int looked_up(Judge *self, const Line *line, Item *item) {
    Shape *shape = line->shape;
    int found = TOLD, count = 0, asked[MAX_COLUMNS];
    uint64_t hashes[MAX_COLUMNS];
    /* All are on their way from memory before the first is looked at. */
    for (int i = 0; i < shape->count; i++) {
        const Piece *piece = &shape->pieces[i];
        const uint8_t *text = line->texts[i];
        const size_t length = line->lengths[i];
        if (piece->column < 0 || (piece->words && is_digits(text, length))) continue;
        hashes[count] = text_hash(self, shape->first_column + piece->column, text, length);
        will_look(self, hashes[count]);
        asked[count++] = i;
    }
    for (int a = 0; a < count; a++) {
        const int column = shape->pieces[asked[a]].column;
        const uint8_t *text = line->texts[asked[a]];
        const size_t length = line->lengths[asked[a]];
        Known *one = place_of(self, shape->first_column + column, text, length, hashes[a]);
        if (!one) return OPAQUE;
        if (!is_new(self, one)) one->used = 1;
        else if (!take(self, one, shape, column, text, length, hashes[a])) return OPAQUE;
        if (one->unsure) found = UNTOLD;
        if (one->count) self->places[item->first + item->count++] = (uint32_t)(one - self->known);
    }
    return found;
}

static int keep(PyObject *list, PyObject *one) {
    const int failed = !one || PyList_Append(list, one) < 0;
    Py_XDECREF(one);
    return failed ? -1 : 0;
}

/* Room for one more item and its places. */
static Item *next_item(Judge *self) {
    if (self->item_count == self->item_room) {
        const size_t room = 2 * self->item_room + 256;
        Item *items = PyMem_Realloc(self->items, room * sizeof *items);
        if (!items) return NULL;
        self->items = items;
        self->item_room = room;
    }
    if (self->place_count + MAX_COLUMNS > self->place_room) {
        const size_t room = 2 * self->place_room + 8 * MAX_COLUMNS;
        uint32_t *places = PyMem_Realloc(self->places, room * sizeof *places);
        if (!places) return NULL;
        self->places = places;
        self->place_room = room;
    }
    return &self->items[self->item_count];
}

/* Has tables tell what the verdict on a line depends on, as far as they can: whether any did. */
static int settled(Judge *self, const Item *item) {
    Shape *shape = item->shape;
    int any = 0;
    for (uint32_t i = 0; shape->machine_count && i < item->count; i++) {
        const Known *one = &self->known[self->places[item->first + i]];
        size_t length = SIZE_MAX;
        int wide = 0;
        for (uint32_t a = one->first; one->unsure && a < one->first + one->count; a++) {
            uint32_t *told = &self->pool[a];
            const uint32_t atom = *told >> TOLD_BITS, number = shape->machine_of[atom];
            if ((*told & ((1u << TOLD_BITS) - 1)) != PERHAPS || !number ||
                shape->needed_in[atom] != shape->look)
                continue;
            if (length == SIZE_MAX) {
                self->reading = NULL;
                length = read_text(self, self->arena + one->start, one->length, &wide);
            }
            if (wide) break;
            const Machine *machine = &shape->machines[number - 1];
            const int there = machine_finds(shape, machine, self->plain, length);
            *told = atom << TOLD_BITS | (there ? SURE : WRONG);
            any = 1;
        }
    }
    return any;
}

/* Have the caller asked about what the verdict on a line depends on. */
static int question(Judge *self, const Item *item) {
    for (uint32_t i = 0; i < item->count; i++) {
        const uint32_t place = self->places[item->first + i];
        Known *one = &self->known[place];
        if (!one->unsure) continue;
        if (self->pending_count == self->pending_room) {
            const size_t room = 2 * self->pending_room + 64;
            Pending *pending = PyMem_Realloc(self->pending, room * sizeof *pending);
            if (!pending) return -1;
            self->pending = pending;
            self->pending_room = room;
        }
        if (self->question_count + one->count > self->question_room) {
            const size_t room = 2 * (self->question_count + one->count);
            uint32_t *questions = PyMem_Realloc(self->questions, room * sizeof *questions);
            if (!questions) return -1;
            self->questions = questions;
            self->question_room = room;
        }
        Pending *pending = &self->pending[self->pending_count];
        *pending = (Pending){place, (uint32_t)self->question_count, 0};
        for (uint32_t a = one->first; a < one->first + one->count; a++) {
            uint32_t *told = &self->pool[a];
            const uint32_t atom = *told >> TOLD_BITS;
            if ((*told & ((1u << TOLD_BITS) - 1)) != PERHAPS ||
                item->shape->needed_in[atom] != item->shape->look)
                continue;
            *told = atom << TOLD_BITS | ASKED;
            self->questions[self->question_count++] = a;
            pending->count++;
        }
        if (pending->count) self->pending_count++;
    }
    return 0;
}

/* Marks the bytes of the block under way. */
static int mark_all(Judge *self) {
    const size_t length = (size_t)self->view.len, words = mark_words(length);
    if (words > self->mark_room) {
        uint64_t *marks = PyMem_Realloc(self->marks, words * sizeof *marks);
        if (!marks) {
            PyErr_NoMemory();
            return -1;
        }
        self->marks = marks;
        self->mark_room = words;
    }
    mark(self->marks, self->view.buf, length);
    const uint8_t *data = self->view.buf;
    self->marked = (Marked){data, data + length, self->marks};
    return 0;
}

static int read_block(Judge *self) {
    const uint8_t *data = self->view.buf, *end = data + self->view.len, *at = data;
    Line line;

    if (mark_all(self) < 0) return -1;

    self->line = &line;
    self->reading = NULL;
    for (; at < end; at = line.end, self->lines++) {
        Item *item = next_item(self);
        if (!item) {
            PyErr_NoMemory();
            return -1;
        }
        const int kind = read_line(self, at, &line);
        if (kind == NOT_PLAIN) {
            const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
            line.end = newline ? newline + 1 : end;
        }
        *item = (Item){.index = self->lines, .start = at - data, .end = line.end - data};
        if (kind == PLAIN) {
            item->first = (uint32_t)self->place_count;
            const int told = looked_up(self, &line, item);
            if (told != OPAQUE) {
                const uint32_t *places = self->places + item->first;
                if (!matched(self, line.shape, places, item->count, NULL, 1)) continue;
                item->shape = line.shape;
                if (told == UNTOLD && settled(self, item) &&
                    !matched(self, line.shape, places, item->count, NULL, 0))
                    continue;
                self->place_count += item->count;
                if (told == UNTOLD && question(self, item) < 0) {
                    PyErr_NoMemory();
                    return -1;
                }
            }
        } else if (kind == STRANGE && PyList_Size(self->strange) < MAX_STRANGE &&
                   keep(self->strange, Py_BuildValue("nn", item->start, item->end)) < 0) {
            return -1;
        }
        self->item_count++;
    }
    return 0;
}

/* The lines that are left, with the rules that may match each. */
static int give(Judge *self, PyObject *kept) {
    const uint8_t *data = self->view.buf;
    Line line;

    self->line = &line;
    self->reading = NULL;
    for (size_t i = 0; i < self->item_count; i++) {
        const Item *item = &self->items[i];
        PyObject *rules = NULL;
        if (item->shape) {
            rules = PyList_New(0);
            if (!rules) return -1;
            /* What is put off is looked for in its texts. */
            read_line(self, data + item->start, &line);
            const int any =
                matched(self, item->shape, self->places + item->first, item->count, rules, 0);
            if (any < 1) {
                Py_DECREF(rules);
                if (any < 0) return -1;
                continue;
            }
        }
        PyObject *one =
            Py_BuildValue("nnnO", item->index, item->start, item->end, rules ? rules : Py_None);
        Py_XDECREF(rules);
        if (keep(kept, one) < 0) return -1;
    }
    return 0;
}

#include "shapes.h"

#include "told.h"
