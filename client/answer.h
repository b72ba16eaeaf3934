/*
 * Reading the daemon's answers: members of a JSON tree that may be missing or of another type (an
 * older or newer daemon), read without asking twice.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The member's text, or "" when it is missing or no string. Borrowed from the tree. */
const char *answer_text(const cJSON *object, const char *name);
/* The member's number, or `otherwise`. */
int64_t answer_int(const cJSON *object, const char *name, int64_t otherwise);
/* True when the member is `true`. */
bool answer_is(const cJSON *object, const char *name);
/* The member, or NULL. */
const cJSON *answer_get(const cJSON *object, const char *name);
/* The strings of an array joined with ", "; writes into out and returns it. */
char *answer_join(char *out, size_t size, const cJSON *array);

/*
 * A script or a page of help as JSON, {"text": "..."}: begin returns where to write it, print
 * prints the object and releases it.
 */
struct text_answer {
    char *text;
    size_t size;
    FILE *out;
};
FILE *answer_text_begin(struct text_answer *answer);
void answer_text_print(struct text_answer *answer, FILE *out);

/* Prints a tree as indented JSON; control characters of every kind are escaped. */
void answer_print_json(FILE *out, const cJSON *tree);
