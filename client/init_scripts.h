/* The init scripts of shims/, as text; embed.cmake makes the C file. Used by shell.c. */
#pragma once

extern const char init_script_bash[];
extern const char init_script_zsh[];
