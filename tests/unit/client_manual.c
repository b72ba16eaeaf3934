/* Help, manual page and completions follow from the table: client/manual.h. */
#include "client/manual.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum page { PAGE_OVERVIEW, PAGE_ROFF, PAGE_BASH, PAGE_ZSH, PAGE_FISH, PAGE_COUNT };

static char *page(enum page which)
{
    char *text = NULL;
    size_t size = 0;
    struct screen screen = {.out = open_memstream(&text, &size)};
    if (which == PAGE_OVERVIEW)
        manual_overview(&screen);
    else if (which == PAGE_ROFF)
        manual_roff(screen.out);
    else
        completion_print(screen.out, which == PAGE_BASH  ? "bash"
                                     : which == PAGE_ZSH ? "zsh"
                                                         : "fish");
    fclose(screen.out);
    return text;
}

Test(manual, every_page_names_every_command_that_is_not_hidden)
{
    for (int which = 0; which < PAGE_COUNT; which++) {
        char *text = page((enum page)which);
        for (const struct command *c = commands; c->name; c++)
            cr_expect_eq(strstr(text, c->name) != NULL, !c->is_hidden || which >= PAGE_BASH,
                         "page %d, command %s", which, c->name);
        free(text);
    }
}

Test(manual, help_fits_eighty_columns)
{
    char *text = NULL;
    size_t size = 0;
    struct screen screen = {.out = open_memstream(&text, &size)};
    manual_overview(&screen);
    for (const struct command *c = commands; c->name; c++)
        if (!c->is_hidden)
            manual_command(&screen, c);
    fclose(screen.out);
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save))
        cr_expect_leq(display_width(line), 80, "%s", line);
    free(text);
}

Test(manual, an_unknown_shell_has_no_completion)
{
    cr_assert_not(completion_print(stdout, "tcsh"));
}
