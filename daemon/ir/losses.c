/* See losses.h. */
#include "ir/losses.h"

/* A comma would make two names of one where they are listed. */
static bool is_fit(char c)
{
    return c >= ' ' && c <= '~' && c != ',';
}

static void add_fit(char name[IR_LOSS_NAME], size_t *len, struct span text)
{
    for (size_t i = 0; i < text.len && *len < IR_LOSS_NAME - 1; i++)
        name[(*len)++] = is_fit(text.at[i]) ? text.at[i] : '?';
}

static void lose(struct ir_losses *losses, struct span prefix, struct span rest)
{
    char name[IR_LOSS_NAME] = {0};
    size_t len = 0;
    add_fit(name, &len, prefix);
    add_fit(name, &len, rest);
    for (unsigned i = 0; i < losses->count; i++)
        if (!strcmp(losses->names[i], name))
            return;
    if (losses->count == IR_LOSSES_MAX)
        losses->has_more = true;
    else
        memcpy(losses->names[losses->count++], name, sizeof(name));
}

void ir_lose(struct ir_losses *losses, const char *name)
{
    if (losses)
        lose(losses, span_of(name), SPAN(""));
}

/* A client's name may be anything: a header takes no blank one, and it is to be seen. */
void ir_lose_member(struct ir_losses *losses, const char *prefix, struct json key)
{
    struct span name = json_raw_text(key);
    size_t blank = 0;
    while (blank < name.len && name.at[blank] == ' ')
        blank++;
    if (losses)
        lose(losses, span_of(prefix), blank == name.len ? SPAN("?") : name);
}

void ir_losses_join(struct ir_losses *losses, const struct ir_losses *from)
{
    if (!losses || !from)
        return;
    for (unsigned i = 0; i < from->count; i++)
        ir_lose(losses, from->names[i]);
    losses->has_more = losses->has_more || from->has_more;
}

int ir_losses_write(const struct ir_losses *losses, struct bytes *out)
{
    const size_t before = out->len;
    int r = 0;
    for (unsigned i = 0; r == 0 && i < losses->count; i++)
        r = bytes_addf(out, "%s%s", i ? ", " : "", losses->names[i]);
    if (r == 0 && losses->has_more)
        r = bytes_addf(out, "%smore", losses->count ? ", " : "");
    if (r < 0)
        out->len = before;
    return r;
}
