/* How failures are said; see failure.h. */
#include "client/failure.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/answer.h"
#include "client/command.h"
#include "client/render.h"

#define INDENT 2 /* of what follows the first line */

int failure_set(struct failure *failure, int kind, const char *detail, ...)
{
    const struct error_row *row = error_row(kind);
    va_list args;
    *failure = (struct failure){.kind = kind < 0 ? -kind : kind};
    snprintf(failure->message, sizeof(failure->message), "%s", row->text);
    snprintf(failure->next, sizeof(failure->next), "%s", row->next ? row->next : "");
    va_start(args, detail);
    vsnprintf(failure->detail, sizeof(failure->detail), detail, args);
    va_end(args);
    return -failure->kind;
}

int failure_kind(const char *name)
{
    for (int kind = 1; kind < ERR_COUNT; kind++)
        if (!strcmp(error_row(kind)->name, name))
            return kind;
    return ERR_INTERNAL;
}

void failure_say(struct failure *failure, const char *message)
{
    snprintf(failure->message, sizeof(failure->message), "%s", message);
}

void failure_try(struct failure *failure, const char *next, ...)
{
    va_list args;
    va_start(args, next);
    vsnprintf(failure->next, sizeof(failure->next), next, args);
    va_end(args);
}

static void say(const char *message, const char *detail, const char *next)
{
    static const char name[] = "aictl: ";
    struct screen screen = screen_of(stderr, false);
    char text[1200];
    snprintf(text, sizeof(text), "%s%s%s", message, detail[0] ? ": " : "", detail);
    screen_put(&screen, TONE_BAD, name);
    screen_wrap(&screen, TONE_PLAIN, sizeof(name) - 1, INDENT, text);
    fputc('\n', stderr);
    if (next && next[0]) {
        /* most rows bring a lead-in of their own: "start it: aictl daemon start" */
        snprintf(text, sizeof(text), "%s%s", strstr(next, ": ") ? "" : "try: ", next);
        fprintf(stderr, "%*s", INDENT, "");
        screen_wrap(&screen, TONE_PLAIN, INDENT, INDENT, text);
        fputc('\n', stderr);
    }
}

static void print_as_json(const struct failure *failure)
{
    const struct error_row *row = error_row(failure->kind);
    cJSON *root = cJSON_CreateObject();
    cJSON *error = cJSON_AddObjectToObject(root, "error");
    cJSON_AddStringToObject(error, "kind", row->name);
    cJSON_AddNumberToObject(error, "code", row->rpc_code);
    cJSON_AddStringToObject(error, "message", failure->message);
    if (failure->detail[0])
        cJSON_AddStringToObject(error, "detail", failure->detail);
    if (failure->next[0])
        cJSON_AddStringToObject(error, "next", failure->next);
    answer_print_json(stdout, root);
    cJSON_Delete(root);
}

int failure_report(const struct failure *failure, bool as_json)
{
    fflush(stdout); /* what was said before stands before */
    if (as_json)
        print_as_json(failure);
    say(failure->message, failure->detail, failure->next);
    return error_row(failure->kind)->exit_code;
}

int usage_error(const char *next, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    say(text, "", next);
    return EXIT_USAGE;
}
