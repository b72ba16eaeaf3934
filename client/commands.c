/*
 * The table of commands, in the order and the groups in which help shows them.
 *
 * To add one: a row here and its function in the commands_<noun>.c where it belongs, declared in
 * commands.h.
 */
#include "client/commands.h"

#include <stdlib.h>
#include <string.h>

#include "client/answer.h"
#include "client/failure.h"
#include "client/manual.h"
#include "client/shell.h"

#define END                                                                                        \
    {                                                                                              \
        NULL                                                                                       \
    }

const struct option_row global_options[] = {
    {"json", .help = "Print the answer as JSON"},
    {"directory", 'C', "DIR", .word = WORD_DIRECTORY, .help = "Act as if started in DIR"},
    {"quiet", 'q', .help = "Say nothing that is not asked for"},
    {"no-color", .help = "No colour, even on a terminal (as does NO_COLOR)"},
    {"help", 'h', .help = "Show help"},
    {"version", .help = "Show the version"},
    END,
};

static const struct option_row status_options[] = {
    {"recent", 'r', "N", .is_optional = true, .help = "List the last N attempts (10)"},
    END,
};

static const struct option_row model_options[] = {
    {"explain", 'e', .help = "Show every source, and which one decided"},
    END,
};

static const struct option_row switch_options[] = {
    {"global", 'g', .help = "Set the model of all projects that choose none"},
    END,
};

static const struct option_row login_options[] = {
    {"url", 'u', "URL", .help = "Base URL; adds a provider that is not configured yet"},
    {"type", 't', "TYPE", .word = WORD_CHOICE, .choices = "openai|anthropic",
     .help = "What the added provider speaks"},
    {"model", 'm', "MODEL", .help = "A model of the added provider; may be repeated"},
    END,
};

static const struct option_row test_options[] = {
    {"model", 'm', "MODEL", .word = WORD_MODEL, .help = "The model to ask for"},
    END,
};

static const struct option_row token_options[] = {
    {"client", 'c', "NAME", .help = "Name of the tool that asks, for the log"},
    {"expires", 'e', "TIME", .help = "Make a token that ends after TIME: 30m, 8h, 7d"},
    {"list", 'l', .help = "List every token's id and directory"},
    {"revoke", 0, "ID", .help = "Make a token invalid at once; ID may be the whole token"},
    {"global", 'g', .help = "The token that belongs to no directory"},
    END,
};

static const struct option_row env_options[] = {
    {"shell", 's', "SHELL", .word = WORD_CHOICE, .choices = SHELL_CHOICES,
     .help = "Whose syntax to print; else that of $SHELL"},
    END,
};

static const struct option_row init_options[] = {
    {"no-prompt", .help = "Keep AICTL_MODEL current but leave the prompt alone"},
    END,
};

static const struct option_row help_options[] = {
    {"man", .help = "Print the manual page, in roff"},
    END,
};

const struct command commands[] = {
    {
        .group = "Models",
        .name = "status",
        .summary = "What is effective here, and how the daemon is",
        .options = status_options,
        .run = command_status,
    },
    {
        .name = "model",
        .summary = "Print the effective model of this directory",
        .options = model_options,
        .details = "The model is chosen by the first that names one: this shell's AICTL_OVERRIDE; "
                   "the project's pin (aictl switch); .aictl.local.json; .aictl.json; the same for "
                   "each parent directory; the global pin (aictl switch -g); defaultModel.",
        .run = command_model,
    },
    {
        .name = "models",
        .summary = "List models and aliases",
        .usage = "[PATTERN]",
        .max_args = 1,
        .run = command_models,
    },
    {
        .name = "switch",
        .summary = "Choose the model of this project; running tools follow at once",
        .usage = "MODEL|-",
        .min_args = 1,
        .max_args = 1,
        .word = WORD_MODEL,
        .options = switch_options,
        .details =
            "MODEL is a name, an alias or PROVIDER/MODEL. \"-\" goes back to what was "
            "before: the model before, or no choice of the project's own, which then follows "
            "its files and the global choice; again: back.",
        .run = command_switch,
    },
    {
        .group = "Providers and keys",
        .name = "providers",
        .summary = "List providers with their key, address and state",
        .run = command_providers,
    },
    {
        .name = "login",
        .summary = "Store a provider's key in the vault",
        .usage = "PROVIDER",
        .min_args = 1,
        .max_args = 1,
        .word = WORD_KNOWN,
        .options = login_options,
        .details =
            "PROVIDER is configured, or one of those aictl knows (docs/providers.md); any other "
            "is added with --url and --model. The key is asked for without echo, or read from "
            "standard input when that is no "
            "terminal. It is never taken from the command line, and never shown again.",
        .takes_key = true,
        .run = command_login,
    },
    {
        .name = "test",
        .summary = "Have a provider answer one small request",
        .usage = "[PROVIDER]",
        .max_args = 1,
        .word = WORD_PROVIDER,
        .options = test_options,
        .run = command_test,
    },
    {
        .group = "Tools and shells",
        .name = "token",
        .summary = "Print this directory's token, as a credential helper",
        .options = token_options,
        .run = command_token,
    },
    {
        .name = "env",
        .summary = "Print variables that point tools at the daemon",
        .options = env_options,
        .details = "For example: eval \"$(aictl env -s bash)\"",
        .run = command_env,
    },
    {
        .name = "init",
        .summary = "Print the shell integration",
        .usage = "bash|zsh",
        .min_args = 1,
        .max_args = 1,
        .word = WORD_CHOICE,
        .choices = "bash|zsh",
        .options = init_options,
        .details = "In ~/.bashrc:  eval \"$(aictl init bash)\"\nIn ~/.zshrc:  eval \"$(aictl init "
                   "zsh)\"\n\nAICTL_MODEL then is the effective model at every prompt, for prompt "
                   "frameworks to show; bash and zsh show it in front of their own prompt.",
        .run = command_init,
    },
    {
        .name = "completion",
        .summary = "Print the completion script of a shell",
        .usage = "bash|zsh|fish",
        .min_args = 1,
        .max_args = 1,
        .word = WORD_CHOICE,
        .choices = "bash|zsh|fish",
        .run = command_completion,
    },
    {
        .group = "Daemon and configuration",
        .name = "daemon",
        .summary = "Start, stop or look at the daemon",
        .usage = "run|start|stop|status|reload",
        .min_args = 1,
        .max_args = 1,
        .word = WORD_CHOICE,
        .choices = "run|start|stop|status|reload",
        .details = "start and stop use systemd --user where it manages aictld, else a process in "
                   "the background that logs to aictld.log. run stays in the foreground.",
        .run = command_daemon,
    },
    {
        .name = "config",
        .summary = "Check a configuration without using it, or print its path",
        .usage = "check [FILE] | path",
        .min_args = 1,
        .max_args = 2,
        .word = WORD_CHOICE,
        .choices = "check|path",
        .run = command_config,
    },
    {
        .name = "import",
        .summary = "Take over a configuration; its keys go to the vault",
        .usage = "FILE",
        .min_args = 1,
        .max_args = 1,
        .word = WORD_FILE,
        .details = "FILE may be \"-\" for standard input.",
        .run = command_import,
    },
    {
        .name = "version",
        .summary = "Print the version",
        .run = command_version,
    },
    {
        .name = "help",
        .summary = "Explain a command",
        .usage = "[COMMAND]",
        .max_args = 1,
        .word = WORD_COMMAND,
        .options = help_options,
        .run = command_help,
    },
    {
        .name = "__complete",
        .summary = "Words for completion scripts",
        .usage = "models|providers|known",
        .min_args = 1,
        .max_args = 1,
        .choices = "models|providers|known",
        .is_hidden = true,
        .run = command_complete,
    },
    END,
};

int command_version(struct invocation *inv)
{
    if (inv->json) {
        cJSON *version = cJSON_CreateObject();
        cJSON_AddStringToObject(version, "version", AICTL_VERSION);
        answer_print_json(inv->screen.out, version);
        cJSON_Delete(version);
    } else {
        fprintf(inv->screen.out, "aictl %s\n", AICTL_VERSION);
    }
    return EXIT_OK;
}

static void print_help(const struct invocation *inv, const struct command *about)
{
    struct text_answer json;
    struct screen screen = inv->screen;
    if (inv->json)
        screen = (struct screen){.out = answer_text_begin(&json)};
    if (invocation_has(inv, "man"))
        manual_roff(screen.out);
    else if (about)
        manual_command(&screen, about);
    else
        manual_overview(&screen);
    if (inv->json)
        answer_text_print(&json, inv->screen.out);
}

int command_help(struct invocation *inv)
{
    const struct command *about = inv->command;
    if (inv->arg_count > 0)
        about = command_find(inv->args[0]);
    else if (about && !strcmp(about->name, "help"))
        about = NULL;
    if (inv->arg_count > 0 && !about)
        return command_unknown(inv->args[0]);
    print_help(inv, about);
    return EXIT_OK;
}
