/* The functions behind the rows of commands.c; each returns the exit status. */
#pragma once

#include "client/command.h"

/* commands_status.c */
int command_status(struct invocation *inv);
/* commands_model.c */
int command_model(struct invocation *inv);
int command_models(struct invocation *inv);
int command_switch(struct invocation *inv);
/* commands_provider.c */
int command_providers(struct invocation *inv);
int command_login(struct invocation *inv);
int command_test(struct invocation *inv);
/* commands_token.c */
int command_token(struct invocation *inv);
int command_env(struct invocation *inv);
/* commands_config.c */
int command_import(struct invocation *inv);
int command_config(struct invocation *inv);
/* commands_daemon.c */
int command_daemon(struct invocation *inv);
/* commands_shell.c */
int command_init(struct invocation *inv);
int command_completion(struct invocation *inv);
int command_complete(struct invocation *inv);
/* commands.c */
int command_version(struct invocation *inv);
int command_help(struct invocation *inv);
