/*
 * Completion scripts from the table of commands; see manual.h.
 *
 * The scripts are plain lists, so completing forks nothing; only names of models and providers are
 * asked from the daemon, through the hidden command __complete.
 */
#include <string.h>

#include "client/manual.h"

/* Choices "a|b" as words "a b". */
static void put_choices(FILE *out, const char *choices)
{
    for (; *choices; choices++)
        fputc(*choices == '|' ? ' ' : *choices, out);
}

static void put_commands(FILE *out)
{
    const char *before = "";
    for (const struct command *c = commands; c->name; c++)
        if (!c->is_hidden) {
            fprintf(out, "%s%s", before, c->name);
            before = " ";
        }
}

/* Help inside single quotes; rows have no quotes, so that it needs no escapes. */
static void put_help(FILE *out, const char *text, const char *escaped)
{
    for (; *text; text++) {
        if (*text == '\'')
            continue;
        if (strchr(escaped, *text))
            fputc('\\', out);
        fputc(*text, out);
    }
}

/* ---- bash ---- */

/* An expression of words for compgen -W. */
static void bash_words(FILE *out, enum word_kind word, const char *choices)
{
    if (word == WORD_MODEL)
        fputs("$(command aictl __complete models 2>/dev/null)", out);
    else if (word == WORD_PROVIDER)
        fputs("$(command aictl __complete providers 2>/dev/null)", out);
    else if (word == WORD_KNOWN)
        fputs("$(command aictl __complete known 2>/dev/null)", out);
    else if (word == WORD_COMMAND)
        put_commands(out);
    else if (choices)
        put_choices(out, choices);
}

static const char *bash_action(enum word_kind word)
{
    return word == WORD_FILE ? "-f " : word == WORD_DIRECTORY ? "-d " : "";
}

static void bash_option_names(FILE *out, const struct option_row *row)
{
    for (; row && row->name; row++)
        fprintf(out, " --%s", row->name);
}

/* What follows an option that takes a value. */
static void bash_values(FILE *out, const char *command, const struct option_row *row)
{
    for (; row && row->name; row++) {
        if (!row->value || row->is_optional)
            continue;
        fprintf(out, "    %s:--%s", command, row->name);
        if (row->letter)
            fprintf(out, "|%s:-%c", command, row->letter);
        fprintf(out, ") COMPREPLY=($(compgen %s-W \"", bash_action(row->word));
        bash_words(out, row->word, row->choices);
        fputs("\" -- \"$cur\")); return ;;\n", out);
    }
}

static void print_bash(FILE *out)
{
    fputs("# bash completion for aictl, made by: aictl completion bash\n"
          "_aictl() {\n"
          "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= i\n"
          "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "    case ${COMP_WORDS[i]} in\n"
          "      -C|--directory) ((i++)) ;;\n"
          "      -*) ;;\n"
          "      *) command=${COMP_WORDS[i]}; break ;;\n"
          "    esac\n"
          "  done\n"
          "  COMPREPLY=()\n"
          "  case $command:$prev in\n",
          out);
    bash_values(out, "*", global_options);
    for (const struct command *c = commands; c->name; c++)
        if (!c->is_hidden)
            bash_values(out, c->name, c->options);
    fputs("  esac\n  local words= files= options='", out);
    bash_option_names(out, global_options);
    fputs("'\n  case $command in\n    '') words='", out);
    put_commands(out);
    fputs("' ;;\n", out);
    for (const struct command *c = commands; c->name; c++) {
        if (c->is_hidden)
            continue;
        fprintf(out, "    %s) options+='", c->name);
        bash_option_names(out, c->options);
        fputs("'", out);
        if (c->word == WORD_FILE)
            fputs("; files=-f", out);
        fputs("; [[ $cur == -* ]] || words=\"", out);
        bash_words(out, c->word, c->choices);
        fputs("\" ;;\n", out);
    }
    fputs("  esac\n"
          "  [[ $cur == -* ]] && words=$options files=\n"
          "  COMPREPLY=($(compgen $files -W \"$words\" -- \"$cur\"))\n"
          "}\n"
          "complete -F _aictl aictl\n",
          out);
}

/* ---- zsh ---- */

static void zsh_action(FILE *out, enum word_kind word, const char *choices)
{
    static const char *const actions[] = {
        [WORD_FILE] = "_files",
        [WORD_DIRECTORY] = "_files -/",
        [WORD_MODEL] = "_aictl_words models",
        [WORD_PROVIDER] = "_aictl_words providers",
        [WORD_KNOWN] = "_aictl_words known",
        [WORD_COMMAND] = "_aictl_commands",
    };
    if (choices) {
        fputc('(', out);
        put_choices(out, choices);
        fputc(')', out);
    } else if ((size_t)word < sizeof(actions) / sizeof(actions[0]) && actions[word]) {
        fputs(actions[word], out);
    } else {
        fputc(' ', out);
    }
}

static void zsh_options(FILE *out, const struct option_row *row)
{
    for (; row && row->name; row++) {
        if (row->letter)
            fprintf(out, " \\\n        {-%c,--%s}'[", row->letter, row->name);
        else
            fprintf(out, " \\\n        '--%s[", row->name);
        put_help(out, row->help, "[]:");
        fputc(']', out);
        if (row->value) {
            fprintf(out, "%s:%s:", row->is_optional ? ":" : "", row->value);
            zsh_action(out, row->word, row->choices);
        }
        fputc('\'', out);
    }
}

static void print_zsh(FILE *out)
{
    fputs("#compdef aictl\n"
          "# zsh completion for aictl, made by: aictl completion zsh\n"
          "_aictl_words() {\n"
          "  local -a found=(${(f)\"$(command aictl __complete $argv[-1] 2>/dev/null)\"})\n"
          "  compadd \"${(@)argv[1,-2]}\" -a found\n"
          "}\n"
          "_aictl_commands() {\n"
          "  local -a commands=(\n",
          out);
    for (const struct command *c = commands; c->name; c++)
        if (!c->is_hidden) {
            fprintf(out, "    '%s:", c->name);
            put_help(out, c->summary, ":");
            fputs("'\n", out);
        }
    fputs("  )\n"
          "  _describe -t commands 'aictl command' commands\n"
          "}\n"
          "_aictl() {\n"
          "  local curcontext=$curcontext state line\n"
          "  typeset -A opt_args\n"
          "  _arguments -C",
          out);
    zsh_options(out, global_options);
    fputs(" \\\n    '1:command:_aictl_commands' '*::argument:->argument'\n"
          "  [[ $state == argument ]] || return\n"
          "  case $words[1] in\n",
          out);
    for (const struct command *c = commands; c->name; c++) {
        if (c->is_hidden)
            continue;
        fprintf(out, "    %s)\n      _arguments", c->name);
        zsh_options(out, global_options);
        zsh_options(out, c->options);
        if (c->word != WORD_NONE) {
            fputs(" \\\n        '1:argument:", out);
            zsh_action(out, c->word, c->choices);
            fputc('\'', out);
        }
        fputs(" ;;\n", out);
    }
    fputs("  esac\n"
          "}\n"
          "if [[ $funcstack[1] == _aictl ]]; then _aictl \"$@\"; else compdef _aictl aictl; fi\n",
          out);
}

/* ---- fish ---- */

static void fish_words(FILE *out, enum word_kind word, const char *choices)
{
    if (word == WORD_MODEL)
        fputs(" -x -a '(command aictl __complete models 2>/dev/null)'", out);
    else if (word == WORD_PROVIDER)
        fputs(" -x -a '(command aictl __complete providers 2>/dev/null)'", out);
    else if (word == WORD_KNOWN)
        fputs(" -x -a '(command aictl __complete known 2>/dev/null)'", out);
    else if (word == WORD_FILE)
        fputs(" -r -F", out);
    else if (word == WORD_DIRECTORY)
        fputs(" -x -a '(__fish_complete_directories)'", out);
    else if (choices || word == WORD_COMMAND) {
        fputs(" -x -a '", out);
        if (choices)
            put_choices(out, choices);
        else
            put_commands(out);
        fputc('\'', out);
    }
}

static void fish_options(FILE *out, const char *command, const struct option_row *row)
{
    for (; row && row->name; row++) {
        fputs("complete -c aictl", out);
        if (command)
            fprintf(out, " -n '__fish_seen_subcommand_from %s'", command);
        if (row->letter)
            fprintf(out, " -s %c", row->letter);
        fprintf(out, " -l %s -d '", row->name);
        put_help(out, row->help, "\\");
        fputc('\'', out);
        if (row->value && !row->is_optional && row->word == WORD_NONE)
            fputs(" -x", out);
        fish_words(out, row->word, row->choices);
        fputc('\n', out);
    }
}

static void print_fish(FILE *out)
{
    fputs("# fish completion for aictl, made by: aictl completion fish\n"
          "complete -c aictl -f\n",
          out);
    fish_options(out, NULL, global_options);
    for (const struct command *c = commands; c->name; c++) {
        if (c->is_hidden)
            continue;
        fprintf(out, "complete -c aictl -n __fish_use_subcommand -a %s -d '", c->name);
        put_help(out, c->summary, "\\");
        fputs("'\n", out);
        if (c->word != WORD_NONE) {
            fprintf(out, "complete -c aictl -n '__fish_seen_subcommand_from %s'", c->name);
            fish_words(out, c->word, c->choices);
            fputc('\n', out);
        }
        fish_options(out, c->name, c->options);
    }
}

bool completion_print(FILE *out, const char *shell)
{
    static const struct {
        const char *shell;
        void (*print)(FILE *out);
    } printers[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    for (size_t i = 0; i < sizeof(printers) / sizeof(printers[0]); i++)
        if (!strcmp(printers[i].shell, shell)) {
            printers[i].print(out);
            return true;
        }
    return false;
}
