/* See config_report.h. */
#include "state/config_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define LIST_MAX (sizeof(((struct config_problems *)NULL)->list) / sizeof(struct config_problem))

/* Where one more problem goes: an error takes the place of the last warning of a full list. */
static size_t room_for(const struct config_problems *problems, bool is_warning)
{
    size_t at = problems->count;
    if (at < LIST_MAX || is_warning)
        return at;
    while (at > 0 && !problems->list[at - 1].is_warning)
        at--;
    return at > 0 ? at - 1 : LIST_MAX;
}

bool config_report_has_room(const struct config_report *report, bool is_warning)
{
    return room_for(report->problems, is_warning) < LIST_MAX;
}

/* A place in the list, or NULL when it is full. */
static struct config_problem *take_room(struct config_problems *problems, bool is_warning)
{
    size_t at = room_for(problems, is_warning);
    if (at == LIST_MAX)
        return NULL;
    if (at == problems->count)
        problems->count++;
    return &problems->list[at];
}

__attribute__((format(printf, 4, 0))) static void add(struct config_report *report,
                                                      struct json where, bool is_warning,
                                                      const char *format, va_list args)
{
    report->error_count += !is_warning;
    struct config_problem *problem = take_room(report->problems, is_warning);
    if (!problem)
        return;
    struct json_place place = config_text_place(report->text, where.at);
    problem->line = place.line;
    problem->column = place.column;
    problem->is_warning = is_warning;
    config_text_path(report->text, where.at, problem->path, sizeof(problem->path));
    (void)vsnprintf(problem->message, sizeof(problem->message), format, args); /* may be cut */
}

void config_error(struct config_report *report, struct json where, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(report, where, false, format, args);
    va_end(args);
}

void config_warn(struct config_report *report, struct json where, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(report, where, true, format, args);
    va_end(args);
}

void config_fault(struct config_report *report, const struct config_fault *fault)
{
    report->error_count++;
    struct config_problem *problem = take_room(report->problems, false);
    if (!problem)
        return;
    *problem = (struct config_problem){.line = fault->place.line, .column = fault->place.column};
    (void)snprintf(problem->message, sizeof(problem->message), "%s", fault->why); /* fits */
}

static int compare_places(const void *a, const void *b)
{
    const struct config_problem *left = a, *right = b;
    if (left->line != right->line)
        return left->line < right->line ? -1 : 1;
    return left->column < right->column ? -1 : left->column > right->column;
}

void config_report_sort(struct config_report *report)
{
    qsort(report->problems->list, report->problems->count, sizeof(report->problems->list[0]),
          compare_places);
}

void config_problem_text(const struct config_problem *problem, const char *file, char *out,
                         size_t size)
{
    (void)snprintf(out, size, "%s:%u:%u: %s%s%s", file[0] ? file : "configuration", problem->line,
                   problem->column, problem->path, problem->path[0] ? ": " : "", problem->message);
}

/* api_key and api-key are compared as apikey. */
static struct span without_joints(struct span word, char *out, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < word.len && len < size; i++)
        if (word.at[i] != '_' && word.at[i] != '-')
            out[len++] = word.at[i];
    return (struct span){out, len};
}

#define KNOWN_MAX 64

const char *config_did_you_mean(struct span word, const char *const *known, char *out, size_t size)
{
    /* The search for near model names serves here too: the known words are its catalogue. */
    struct catalogue_model words[KNOWN_MAX];
    struct catalogue catalogue = {.models = words};
    for (; known[catalogue.model_count] && catalogue.model_count < KNOWN_MAX;
         catalogue.model_count++)
        words[catalogue.model_count] =
            (struct catalogue_model){.provider = "", .model = known[catalogue.model_count]};
    char bare[64];
    const char *nearest;
    out[0] = '\0';
    if (name_near(&catalogue, without_joints(word, bare, sizeof(bare)), &nearest, 1) == 1)
        (void)snprintf(out, size, "did you mean %s? ", nearest);
    return out;
}
