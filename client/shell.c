/* Quoting and shell code; see shell.h. */
#include "client/shell.h"

#include <stdlib.h>
#include <string.h>

#include "client/init_scripts.h"
#include "client/render.h"

/* Single quotes; the quote itself stands between two such words: 'it'\''s'. */
static void quote_posix(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    fputc('\'', out);
}

/* Single quotes; inside, backslash escapes the quote and itself. */
static void quote_fish(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('\'', out);
}

/* Double quotes; no interpolation happens without a leading '$'. */
static void quote_nu(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

void shell_quote(FILE *out, const char *shell, const char *text)
{
    /* a control character has no place in these values, and no spelling that all agree on */
    char *clean = malloc(strlen(text) + 1);
    if (!clean)
        abort();
    clean_text(clean, strlen(text) + 1, text);
    if (!strcmp(shell, "fish"))
        quote_fish(out, clean);
    else if (!strcmp(shell, "nu"))
        quote_nu(out, clean);
    else
        quote_posix(out, clean);
    free(clean);
}

bool shell_is_name(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    return name[0] && !(name[0] >= '0' && name[0] <= '9') && !name[strspn(name, allowed)];
}

void shell_print_variable(FILE *out, const char *shell, const char *name, const char *value)
{
    static const struct {
        const char *shell, *before, *between;
    } forms[] = {
        {"fish", "set -gx ", " "},
        {"nu", "$env.", " = "},
        {"dotenv", "", "="},
        {"", "export ", "="},
    };
    size_t i = 0;
    if (!shell_is_name(name))
        return;
    while (forms[i].shell[0] && strcmp(forms[i].shell, shell))
        i++;
    fprintf(out, "%s%s%s", forms[i].before, name, forms[i].between);
    shell_quote(out, shell, value);
    fputc('\n', out);
}

const char *shell_of_user(void)
{
    static const char *const known[] = {"bash", "zsh", "fish", "nu"};
    const char *shell = getenv("SHELL");
    const char *slash = shell ? strrchr(shell, '/') : NULL;
    const char *name = slash ? slash + 1 : "";
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (!strcmp(name, known[i]))
            return known[i];
    return "sh";
}

/* Prints a line of a script with its placeholder filled in. */
static void print_line(FILE *out, const char *line, size_t len, const char *shim,
                       const char *gen_file)
{
    const char *marks[] = {"@SHIM@", "@GENFILE@"};
    const char *values[] = {shim, gen_file};
    for (size_t i = 0; i < 2; i++) {
        const char *at = memmem(line, len, marks[i], strlen(marks[i]));
        if (!at)
            continue;
        fwrite(line, 1, (size_t)(at - line), out);
        quote_posix(out, values[i]);
        at += strlen(marks[i]);
        fwrite(at, 1, (size_t)(line + len - at), out);
        return;
    }
    fwrite(line, 1, len, out);
}

bool shell_print_init(FILE *out, const char *shell, const char *shim, const char *gen_file,
                      bool has_prompt)
{
    static const char prompt_part[] = "#@PROMPT\n";
    const char *script = !strcmp(shell, "bash")  ? init_script_bash
                         : !strcmp(shell, "zsh") ? init_script_zsh
                                                 : NULL;
    if (!script)
        return false;
    while (*script) {
        size_t len = strcspn(script, "\n");
        len += script[len] == '\n';
        bool is_mark = len == sizeof(prompt_part) - 1 && !memcmp(script, prompt_part, len);
        if (is_mark && !has_prompt)
            break;
        if (!is_mark)
            print_line(out, script, len, shim, gen_file);
        script += len;
    }
    return true;
}
