/* Help and manual page from the table of commands; see manual.h. */
#include "client/manual.h"

#include <string.h>

#define NAME_WIDTH   10
#define OPTION_WIDTH 24
#define TEXT_WIDTH   78 /* at most, on wider screens and where there is none */

static const char exit_statuses[] = "0 ok, 1 failed, 2 usage, 3 daemon down, 4 authentication";

/* ---- help ---- */

static void heading(const struct screen *screen, const char *text)
{
    fputc('\n', screen->out);
    screen_put(screen, TONE_BOLD, text);
    fputc('\n', screen->out);
}

/* "-C, --directory DIR" */
static void spell_option(char *out, size_t size, const struct option_row *row)
{
    char letter[8] = "    ";
    if (row->letter)
        snprintf(letter, sizeof(letter), "-%c, ", row->letter);
    snprintf(out, size, "%s--%s%s%s%s", letter, row->name,
             row->value ? row->is_optional ? " [" : " " : "", row->value ? row->value : "",
             row->is_optional ? "]" : "");
}

/* A name, and beside it what it is: "  switch      Choose the model ..." */
static void print_entry(const struct screen *screen, const char *name, enum tone tone, int width,
                        const char *text)
{
    int column = 2 + width + 2;
    fputs("  ", screen->out);
    screen_put(screen, tone, name);
    fprintf(screen->out, "%*s", width + 2 - (int)strlen(name), "");
    screen_wrap(screen, TONE_PLAIN, column, column, text);
    fputc('\n', screen->out);
}

static void print_options(const struct screen *screen, const struct option_row *row)
{
    char spelled[64], text[256];
    for (; row && row->name; row++) {
        spell_option(spelled, sizeof(spelled), row);
        snprintf(text, sizeof(text), "%s%s%s", row->help, row->choices ? ": " : "",
                 row->choices ? row->choices : "");
        print_entry(screen, spelled, TONE_PLAIN, OPTION_WIDTH, text);
    }
}

/* Help is text to read: not wider than is good for that, also where it is not shown at once. */
static struct screen page_of(const struct screen *screen)
{
    struct screen page = *screen;
    if (page.width == 0 || page.width > TEXT_WIDTH)
        page.width = TEXT_WIDTH;
    return page;
}

void manual_overview(const struct screen *whole)
{
    const struct screen page = page_of(whole), *screen = &page;
    fprintf(screen->out, "aictl %s: one local gateway for every AI provider\n\n", AICTL_VERSION);
    fputs("Usage: aictl [OPTION...] [COMMAND] [ARGUMENT...]\n", screen->out);
    fputs("Without a command: status.\n", screen->out);
    for (const struct command *c = commands; c->name; c++) {
        if (c->is_hidden)
            continue;
        if (c->group)
            heading(screen, c->group);
        print_entry(screen, c->name, TONE_ACCENT, NAME_WIDTH, c->summary);
    }
    heading(screen, "Options");
    print_options(screen, global_options);
    fputs("\nExit status: ", screen->out);
    screen_wrap(screen, TONE_PLAIN, 13, 2, exit_statuses);
    fputc('\n', screen->out);
}

/* Text indented and broken between words; its own line breaks stay. */
static void print_text(const struct screen *screen, const char *text)
{
    for (char line[512]; *text; text += *text == '\n') {
        size_t n = strcspn(text, "\n");
        snprintf(line, sizeof(line), "%.*s", (int)n, text);
        fputs(n ? "  " : "", screen->out);
        screen_wrap(screen, TONE_PLAIN, 2, 2, line);
        fputc('\n', screen->out);
        text += n;
    }
}

void manual_command(const struct screen *whole, const struct command *command)
{
    const struct screen page = page_of(whole), *screen = &page;
    fprintf(screen->out, "Usage: aictl %s%s%s%s\n", command->name,
            command->options ? " [OPTION...]" : "", command->usage ? " " : "",
            command->usage ? command->usage : "");
    fputs("\n  ", screen->out);
    screen_wrap(screen, TONE_PLAIN, 2, 2, command->summary);
    fputs(".\n", screen->out);
    if (command->details) {
        fputc('\n', screen->out);
        print_text(screen, command->details);
    }
    if (command->options) {
        heading(screen, "Options");
        print_options(screen, command->options);
    }
    heading(screen, "Options of every command");
    print_options(screen, global_options);
}

/* ---- the manual page ---- */

/* Text as roff takes it literally: no escapes, no requests, dashes that can be copied. */
static void roff_text(FILE *out, const char *text)
{
    bool is_start = true;
    for (; *text; text++) {
        if (is_start && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
        is_start = *text == '\n';
    }
}

static void roff_line(FILE *out, const char *before, const char *text, const char *after)
{
    fputs(before, out);
    roff_text(out, text);
    fputs(after, out);
}

static void roff_options(FILE *out, const struct option_row *row)
{
    for (; row && row->name; row++) {
        fputs(".TP\n", out);
        if (row->letter)
            fprintf(out, "\\fB\\-%c\\fR, ", row->letter);
        roff_line(out, "\\fB\\-\\-", row->name, "\\fR");
        if (row->value)
            fprintf(out, row->is_optional ? " [\\fI%s\\fR]" : " \\fI%s\\fR", row->value);
        roff_line(out, "\n", row->help, row->choices ? ": " : ".\n");
        if (row->choices)
            roff_line(out, "", row->choices, ".\n");
    }
}

/* Flowing text; its own line breaks stay. */
static void roff_paragraph(FILE *out, const char *text)
{
    fputs(".IP\n", out);
    for (char line[512]; *text; text += *text == '\n') {
        size_t n = strcspn(text, "\n");
        snprintf(line, sizeof(line), "%.*s", (int)n, text);
        roff_line(out, "", line, text[n] && n ? "\n.br\n" : "\n");
        text += n;
    }
}

static void roff_command(FILE *out, const struct command *command)
{
    if (command->group)
        roff_line(out, ".SS ", command->group, "\n");
    roff_line(out, ".TP\n\\fBaictl ", command->name, "\\fR");
    if (command->usage)
        roff_line(out, " \\fI", command->usage, "\\fR");
    roff_line(out, "\n", command->summary, ".\n");
    if (command->details)
        roff_paragraph(out, command->details);
    if (command->options) {
        fputs(".RS\n", out);
        roff_options(out, command->options);
        fputs(".RE\n", out);
    }
}

void manual_roff(FILE *out)
{
    static const char *const variables[][2] = {
        {"AICTL_OVERRIDE", "The model of this shell; beats every choice of the project."},
        {"AICTL_MODEL", "What the shell integration shows in the prompt; not read by aictl."},
        {"AICTL_CONFIG", "The configuration file, instead of ~/.config/aictl/config.json."},
        {"NO_COLOR", "No colour when set to anything."},
    };
    fprintf(out, ".TH AICTL 1 \"\" \"aictl %s\"\n.SH NAME\n", AICTL_VERSION);
    fputs("aictl \\- one local gateway for every AI provider\n.SH SYNOPSIS\n", out);
    fputs("\\fBaictl\\fR [\\fIOPTION\\fR...] [\\fICOMMAND\\fR] [\\fIARGUMENT\\fR...]\n", out);
    fputs(
        ".SH DESCRIPTION\naictl shows and steers aictld, the daemon that holds every provider key "
        "and sends each request to the model that is effective for its project. Without a command "
        "it shows the status.\n.SH COMMANDS\n",
        out);
    for (const struct command *c = commands; c->name; c++)
        if (!c->is_hidden)
            roff_command(out, c);
    fputs(".SH OPTIONS\n", out);
    roff_options(out, global_options);
    roff_line(out, ".SH EXIT STATUS\n", exit_statuses, ".\n.SH ENVIRONMENT\n");
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        roff_line(out, ".TP\n\\fB", variables[i][0], "\\fR\n");
        roff_line(out, "", variables[i][1], "\n");
    }
}
