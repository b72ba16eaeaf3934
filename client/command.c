/* Parsing a command line against its row; see command.h. */
#include "client/command.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "client/failure.h"
#include "client/keyinput.h"

#define WORD_MAX  32 /* longest word that is compared for nearness */
#define NAMES_MAX 64

/* ---- nearness ---- */

static int least(int a, int b, int c)
{
    int ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Edits between two words; letters that changed places count as one. */
static int distance(const char *a, const char *b)
{
    int rows[3][WORD_MAX + 1];
    int la = (int)strlen(a), lb = (int)strlen(b);
    if (la > WORD_MAX || lb > WORD_MAX)
        return WORD_MAX;
    for (int j = 0; j <= lb; j++)
        rows[0][j] = j;
    for (int i = 1; i <= la; i++) {
        int *now = rows[i % 3], *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= lb; j++) {
            now[j] = least(before[j] + 1, now[j - 1] + 1, before[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], earlier[j - 2] + 1, WORD_MAX);
        }
    }
    return rows[la % 3][lb];
}

const char *nearest_word(const char *typed, const char *const *candidates)
{
    const char *best = NULL;
    int best_distance = ((int)strlen(typed) + 2) / 3 + 1;
    for (; *candidates; candidates++) {
        int d = distance(typed, *candidates);
        if (d < best_distance) {
            best = *candidates;
            best_distance = d;
        }
    }
    return best;
}

bool is_choice(const char *choices, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = choices; *at;) {
        size_t n = strcspn(at, "|");
        if (n == len && !memcmp(at, word, n))
            return true;
        at += n + (at[n] == '|');
    }
    return false;
}

/* ---- complaints ---- */

int command_unknown(const char *typed)
{
    const char *names[NAMES_MAX];
    size_t n = 0;
    for (const struct command *c = commands; c->name && n + 1 < NAMES_MAX; c++)
        if (!c->is_hidden)
            names[n++] = c->name;
    names[n] = NULL;
    const char *near = nearest_word(typed, names);
    char next[64];
    snprintf(next, sizeof(next), "aictl %s", near ? near : "help");
    if (looks_like_key(typed))
        return usage_error(next, "there is no such command");
    return usage_error(next, "there is no command \"%.40s\"", typed);
}

/* A wrong command line: what to try is the command's help. */
#define COMPLAIN(inv, ...) usage_error(help_of(inv, (char[64]){0}), __VA_ARGS__)

static const char *help_of(const struct invocation *inv, char next[64])
{
    snprintf(next, 64, "aictl help%s%s", inv->command ? " " : "",
             inv->command ? inv->command->name : "");
    return next;
}

static int refuse_key(const struct invocation *inv)
{
    char next[96];
    snprintf(next, sizeof(next),
             "aictl %s PROVIDER asks for it; replace the key if it was a real one",
             inv->command->name);
    return usage_error(next, "a key does not belong on the command line: other programs and the "
                             "shell's history see it");
}

static int unknown_option(const struct invocation *inv, const char *name, size_t len)
{
    char typed[WORD_MAX + 1], next[64];
    const char *names[NAMES_MAX];
    size_t n = 0;
    snprintf(typed, sizeof(typed), "%.*s", (int)len, name);
    if (inv->command && inv->command->takes_key &&
        is_choice("key|api-key|apikey|token|secret|password", typed))
        return refuse_key(inv);
    for (const struct option_row *o = inv->command ? inv->command->options : NULL; o && o->name;
         o++)
        names[n++] = o->name;
    for (const struct option_row *o = global_options; o->name && n + 1 < NAMES_MAX; o++)
        names[n++] = o->name;
    names[n] = NULL;
    const char *near = nearest_word(typed, names);
    if (!near)
        return usage_error(help_of(inv, next), "there is no option --%s", typed);
    snprintf(next, sizeof(next), "--%s", near);
    return usage_error(next, "there is no option --%s", typed);
}

/* ---- options ---- */

static const struct option_row *find_in(const struct option_row *rows, char letter,
                                        const char *name, size_t len)
{
    for (; rows && rows->name; rows++)
        if (letter ? rows->letter == letter
                   : strlen(rows->name) == len && !memcmp(rows->name, name, len))
            return rows;
    return NULL;
}

/* The row of a letter, or of a name when letter is 0. */
static const struct option_row *find_option(const struct invocation *inv, char letter,
                                            const char *name, size_t len)
{
    const struct option_row *row =
        inv->command ? find_in(inv->command->options, letter, name, len) : NULL;
    return row ? row : find_in(global_options, letter, name, len);
}

static bool is_number(const char *text)
{
    return text && text[0] && text[strspn(text, "0123456789")] == '\0';
}

struct words {
    int at, count;
    char *const *text;
};

/* Records an option; `attached` is its value when it came with it, else the next word may be. */
static int give(struct invocation *inv, const struct option_row *row, const char *attached,
                struct words *words)
{
    const char *value = attached;
    const char *following = words->at + 1 < words->count ? words->text[words->at + 1] : NULL;
    if (!row->value && attached)
        return COMPLAIN(inv, "--%s takes no value", row->name);
    if (row->value && !value && (row->is_optional ? is_number(following) : following != NULL)) {
        value = following;
        words->at++;
    }
    if (row->value && !value && !row->is_optional)
        return COMPLAIN(inv, "--%s needs a value: %s", row->name, row->value);
    if (row->is_optional && value && !is_number(value))
        return COMPLAIN(inv, "--%s takes a number", row->name);
    if (row->choices && value && !is_choice(row->choices, value))
        return COMPLAIN(inv, "--%s is one of: %s", row->name, row->choices);
    if (inv->option_count == INVOCATION_MAX)
        return COMPLAIN(inv, "too many options");
    inv->options[inv->option_count++] = (struct given_option){row, value};
    return 0;
}

static int parse_long(struct invocation *inv, struct words *words)
{
    const char *name = words->text[words->at] + 2;
    size_t len = strcspn(name, "=");
    const struct option_row *row = find_option(inv, 0, name, len);
    if (!row)
        return unknown_option(inv, name, len);
    return give(inv, row, name[len] ? name + len + 1 : NULL, words);
}

/* "-gq", "-C DIR", "-CDIR" */
static int parse_letters(struct invocation *inv, struct words *words)
{
    for (const char *p = words->text[words->at] + 1; *p; p++) {
        const struct option_row *row = find_option(inv, *p, NULL, 0);
        if (!row && inv->command && inv->command->takes_key)
            return refuse_key(inv);
        if (!row)
            return COMPLAIN(inv, "there is no option -%c", isprint((unsigned char)*p) ? *p : '?');
        if (row->value)
            return give(inv, row, p[1] ? p + 1 : NULL, words);
        int r = give(inv, row, NULL, words);
        if (r)
            return r;
    }
    return 0;
}

/* ---- the line ---- */

/* The first word that is no option is the command, the others are its arguments. */
static int parse_plain(struct invocation *inv, const char *word)
{
    if (!inv->command) {
        inv->command = command_find(word);
        return inv->command ? 0 : command_unknown(word);
    }
    if (inv->arg_count == INVOCATION_MAX)
        return COMPLAIN(inv, "too many arguments");
    inv->args[inv->arg_count++] = word;
    return 0;
}

static int parse_words(struct invocation *inv, struct words *words)
{
    bool options_end = false;
    for (; words->at < words->count; words->at++) {
        const char *word = words->text[words->at];
        int r;
        if (options_end || word[0] != '-' || !word[1])
            r = parse_plain(inv, word);
        else if (!strcmp(word, "--"))
            r = 0, options_end = true;
        else if (word[1] == '-')
            r = parse_long(inv, words);
        else
            r = parse_letters(inv, words);
        if (r)
            return r;
    }
    return 0;
}

static int check_arguments(const struct invocation *inv)
{
    const struct command *c = inv->command;
    for (int i = 0; c->takes_key && i < inv->arg_count; i++)
        if (looks_like_key(inv->args[i]))
            return refuse_key(inv);
    if (inv->arg_count < c->min_args)
        return COMPLAIN(inv, "usage: aictl %s %s", c->name, c->usage);
    if (inv->arg_count > c->max_args && c->max_args == 0)
        return COMPLAIN(inv, "aictl %s takes no arguments", c->name);
    if (inv->arg_count > c->max_args)
        return COMPLAIN(inv, "too many arguments; usage: aictl %s %s", c->name, c->usage);
    if (c->choices && inv->arg_count > 0 && !is_choice(c->choices, inv->args[0]))
        return COMPLAIN(inv, "aictl %s takes one of %s, not \"%.40s\"", c->name, c->choices,
                        inv->args[0]);
    return 0;
}

int invocation_parse(struct invocation *inv, int argc, char *const argv[])
{
    struct words words = {.at = 1, .count = argc, .text = argv};
    *inv = (struct invocation){.program = argc > 0 ? argv[0] : "aictl"};
    int r = parse_words(inv, &words);
    if (r)
        return r;
    inv->json = invocation_has(inv, "json");
    inv->quiet = invocation_has(inv, "quiet");
    inv->no_color = invocation_has(inv, "no-color");
    inv->help = invocation_has(inv, "help");
    inv->version = invocation_has(inv, "version");
    inv->directory = invocation_value(inv, "directory");
    if (inv->help || inv->version)
        return 0;
    if (!inv->command)
        inv->command = command_find("status");
    return check_arguments(inv);
}

const struct command *command_find(const char *name)
{
    for (const struct command *c = commands; c->name; c++)
        if (!strcmp(c->name, name))
            return c;
    return NULL;
}

static const struct given_option *given(const struct invocation *inv, const char *option)
{
    for (size_t i = inv->option_count; i > 0; i--)
        if (!strcmp(inv->options[i - 1].row->name, option))
            return &inv->options[i - 1];
    return NULL;
}

bool invocation_has(const struct invocation *inv, const char *option)
{
    return given(inv, option) != NULL;
}

const char *invocation_value(const struct invocation *inv, const char *option)
{
    const struct given_option *found = given(inv, option);
    return found ? found->value : NULL;
}
