/*
 * See names.h. Everything is a scan of the catalogue: it has tens of models, at most a few
 * thousand, and a scan has no state that a reload would have to rebuild.
 */
#include "policy/names.h"

#include "base/utf8.h"

#define ALIAS_DEPTH 8
/* Names are compared by edit distance up to this length; longer ones are cut. */
#define NEAR_LEN 64

bool name_is_well_formed(struct span text)
{
    if (text.len == 0 || text.len > NAME_MAX_LEN || utf8_valid_length(text) < text.len)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] < ' ' || text.at[i] == 127)
            return false;
    return true;
}

/* ---- what a name means ---- */

/* Names that tools send when nobody chose a model. A family is a prefix with something behind it.
 */
static const struct tool_name {
    struct span name;
    bool is_family; /* `name` ends with the dash; otherwise `name` or `name-anything` */
} tool_names[] = {
    {SPAN("claude-"), true}, {SPAN("gpt-"), true}, {SPAN("chatgpt-"), true}, {SPAN("codex-"), true},
    {SPAN("gemini-"), true}, {SPAN("o1"), false},  {SPAN("o3"), false},      {SPAN("o4"), false},
};

static bool is_tool_name(struct span text)
{
    for (size_t i = 0; i < sizeof(tool_names) / sizeof(tool_names[0]); i++) {
        const struct tool_name *row = &tool_names[i];
        if (!span_starts_nocase(text, row->name))
            continue;
        size_t more = text.len - row->name.len;
        if (row->is_family ? more > 0 : more == 0 || text.at[row->name.len] == '-')
            return true;
    }
    return false;
}

static bool is_standing_name(struct span text)
{
    return span_equal_nocase(text, SPAN("aictl")) ||
           span_equal_nocase(text, SPAN("claude-aictl")) ||
           span_equal_nocase(text, SPAN("aictl/current"));
}

/* NAME of `aictl:NAME` and `claude-aictl:NAME`; absent for anything else. */
static struct span picked_name(struct span text)
{
    struct span rest;
    struct span before = span_cut(text, ':', &rest);
    bool is_ours =
        span_equal_nocase(before, SPAN("aictl")) || span_equal_nocase(before, SPAN("claude-aictl"));
    return is_ours ? rest : (struct span){NULL, 0};
}

/* The text before a suffix as "[1m]"; absent when there is none, or nothing before it. */
static struct span without_suffix(struct span text)
{
    struct span rest;
    struct span before = span_cut(text, '[', &rest);
    if (before.len == 0 || rest.len == 0 || rest.at[rest.len - 1] != ']')
        return (struct span){NULL, 0};
    return before;
}

static bool has_provider(const struct catalogue *catalogue, const struct name *name,
                         unsigned provider_index)
{
    for (size_t i = 0; i < name->candidate_count; i++)
        if (catalogue->models[name->candidates[i]].provider_index == provider_index)
            return true;
    return false;
}

static void add_candidate(const struct catalogue *catalogue, struct name *name, size_t model)
{
    size_t room = sizeof(name->candidates) / sizeof(name->candidates[0]);
    if (name->candidate_count == room ||
        has_provider(catalogue, name, catalogue->models[model].provider_index))
        return;
    name->kind = NAME_CONCRETE;
    name->candidates[name->candidate_count++] = (unsigned)model;
}

static struct name find_model(const struct catalogue *catalogue, struct span text)
{
    struct name name = {0};
    for (size_t i = 0; i < catalogue->model_count; i++)
        if (span_equal_nocase(text, span_of(catalogue->models[i].model)))
            add_candidate(catalogue, &name, i);
    return name;
}

/* Compared as a whole, since a provider's or a model's name may have separators itself. */
static bool is_qualified(const struct catalogue_model *model, struct span text)
{
    struct span provider = span_of(model->provider);
    if (text.len <= provider.len || (text.at[provider.len] != '/' && text.at[provider.len] != ','))
        return false;
    struct span behind = {text.at + provider.len + 1, text.len - provider.len - 1};
    return span_starts_nocase(text, provider) && span_equal_nocase(behind, span_of(model->model));
}

static struct name find_qualified(const struct catalogue *catalogue, struct span text)
{
    struct name name = {0};
    for (size_t i = 0; i < catalogue->model_count; i++)
        if (is_qualified(&catalogue->models[i], text))
            add_candidate(catalogue, &name, i);
    return name;
}

static const struct catalogue_alias *find_alias(const struct catalogue *catalogue, struct span text)
{
    for (size_t i = 0; i < catalogue->alias_count; i++)
        if (span_equal_nocase(text, span_of(catalogue->aliases[i].name)))
            return &catalogue->aliases[i];
    return NULL;
}

static bool resolve_chosen(const struct catalogue *catalogue, struct span text, unsigned depth,
                           struct name *ret);

/* Steps 1 to 3. True when one fits; an alias that leads nowhere fits, and is unknown. */
static bool find_configured(const struct catalogue *catalogue, struct span text, unsigned depth,
                            struct name *ret)
{
    *ret = find_model(catalogue, text);
    if (ret->kind != NAME_UNKNOWN)
        return true;
    const struct catalogue_alias *alias = find_alias(catalogue, text);
    if (alias) {
        if (depth < ALIAS_DEPTH)
            (void)resolve_chosen(catalogue, span_of(alias->target), depth + 1, ret);
        return true;
    }
    *ret = find_qualified(catalogue, text);
    return ret->kind != NAME_UNKNOWN;
}

/* Steps 1 to 5. False when none fits and the name may still be a tool's. */
static bool resolve_chosen(const struct catalogue *catalogue, struct span text, unsigned depth,
                           struct name *ret)
{
    *ret = (struct name){0};
    if (text.len == 0 || text.len > NAME_MAX_LEN)
        return true;
    if (find_configured(catalogue, text, depth, ret))
        return true;
    struct span bare = without_suffix(text);
    if (bare.len && find_configured(catalogue, bare, depth, ret))
        return true;
    struct span picked = picked_name(text);
    if (picked.at) {
        if (depth < ALIAS_DEPTH)
            (void)resolve_chosen(catalogue, picked, depth + 1, ret);
        return true;
    }
    if (!is_standing_name(bare.len ? bare : text))
        return false;
    ret->kind = NAME_STANDING;
    return true;
}

struct name name_resolve(const struct catalogue *catalogue, struct span text)
{
    struct name name;
    if (!resolve_chosen(catalogue, text, 0, &name) && is_tool_name(text))
        name.kind = NAME_TOOL_DEFAULT;
    return name;
}

/* ---- names near an unknown one ---- */

/* A name for comparing: lower case and cut. */
struct folded {
    char text[NEAR_LEN];
    size_t len;
};

static struct folded fold(struct span text)
{
    struct folded folded = {.len = text.len < NEAR_LEN ? text.len : NEAR_LEN};
    for (size_t i = 0; i < folded.len; i++) {
        char c = text.at[i];
        folded.text[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return folded;
}

static unsigned min2(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/*
 * Edits (insert, delete, replace, swap of neighbours) that lead from a to b: Damerau-Levenshtein in
 * its "optimal string alignment" form, three rows of the table at a time. Gives limit + 1 as soon
 * as a whole row is above the limit.
 */
static unsigned edit_distance(const struct folded *a, const struct folded *b, unsigned limit)
{
    size_t gap = a->len > b->len ? a->len - b->len : b->len - a->len;
    if (gap > limit)
        return limit + 1;
    unsigned rows[3][NEAR_LEN + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b->len; j++)
        above[j] = (unsigned)j;
    for (size_t i = 1; i <= a->len; i++) {
        unsigned least = row[0] = (unsigned)i;
        for (size_t j = 1; j <= b->len; j++) {
            bool is_same = a->text[i - 1] == b->text[j - 1];
            row[j] = min2(min2(above[j], row[j - 1]) + 1, above[j - 1] + !is_same);
            if (i > 1 && j > 1 && a->text[i - 1] == b->text[j - 2] &&
                a->text[i - 2] == b->text[j - 1])
                row[j] = min2(row[j], before[j - 2] + 1);
            least = min2(least, row[j]);
        }
        if (least > limit)
            return limit + 1;
        unsigned *oldest = before;
        before = above, above = row, row = oldest;
    }
    return above[b->len];
}

/* Typing mistakes one may make in a name of this length and still mean it. */
static unsigned edit_limit(size_t len)
{
    return len < 4 ? 1 : len < 8 ? 2 : len < 16 ? 3 : 4;
}

static bool starts(const struct folded *text, const struct folded *prefix)
{
    return text->len >= prefix->len && !memcmp(text->text, prefix->text, prefix->len);
}

static bool contains(const struct folded *text, const struct folded *part)
{
    return memmem(text->text, text->len, part->text, part->len) != NULL;
}

#define NOT_NEAR    UINT32_MAX
#define NEAR_PREFIX 1000 /* scores of the classes in name_near(), above any edit distance */
#define NEAR_PART   2000

/* How far a configured name is from what was typed; smaller is nearer. */
static unsigned near_score(const struct folded *typed, const struct folded *name)
{
    unsigned limit = edit_limit(typed->len);
    unsigned edits = edit_distance(typed, name, limit);
    if (edits <= limit)
        return edits;
    const struct folded *shorter = typed->len < name->len ? typed : name;
    const struct folded *longer = shorter == typed ? name : typed;
    unsigned gap = (unsigned)(longer->len - shorter->len);
    if (shorter->len >= 2 && starts(longer, shorter))
        return NEAR_PREFIX + gap;
    if (shorter->len >= 3 && contains(longer, shorter))
        return NEAR_PART + gap;
    return NOT_NEAR;
}

/* The names found so far, best first. */
struct nearest {
    const char **names;
    size_t count, max;
    unsigned scores[16];
};

/* Puts a name in its place; equal scores keep the catalogue's order. */
static void nearest_add(struct nearest *nearest, const char *name, unsigned score)
{
    if (score == NOT_NEAR)
        return;
    for (size_t i = 0; i < nearest->count; i++)
        if (span_equal_nocase(span_of(name), span_of(nearest->names[i])))
            return; /* the same model of another provider */
    size_t at = nearest->count;
    while (at > 0 && nearest->scores[at - 1] > score)
        at--;
    if (at == nearest->max)
        return;
    if (nearest->count < nearest->max)
        nearest->count++;
    for (size_t i = nearest->count - 1; i > at; i--) {
        nearest->names[i] = nearest->names[i - 1];
        nearest->scores[i] = nearest->scores[i - 1];
    }
    nearest->names[at] = name;
    nearest->scores[at] = score;
}

/* The part behind the last '/' or ',': in `wrong/model` the provider may be what is wrong. */
static struct span without_provider(struct span text)
{
    for (size_t i = text.len; i > 0; i--)
        if (text.at[i - 1] == '/' || text.at[i - 1] == ',')
            return (struct span){text.at + i, text.len - i};
    return text;
}

size_t name_near(const struct catalogue *catalogue, struct span text, const char **ret, size_t max)
{
    struct nearest nearest = {.names = ret};
    size_t room = sizeof(nearest.scores) / sizeof(nearest.scores[0]);
    nearest.max = max < room ? max : room;
    struct span picked = picked_name(text);
    text = picked.len ? picked : text;
    struct span bare = without_suffix(text);
    text = bare.len ? bare : text;
    if (text.len == 0 || text.len > NAME_MAX_LEN)
        return 0;
    struct folded whole = fold(text), tail = fold(without_provider(text));
    for (size_t i = 0; i < catalogue->model_count + catalogue->alias_count; i++) {
        const char *name = i < catalogue->model_count
                               ? catalogue->models[i].model
                               : catalogue->aliases[i - catalogue->model_count].name;
        struct folded folded = fold(span_of(name));
        unsigned score = near_score(&whole, &folded);
        if (tail.len && tail.len != whole.len)
            score = min2(score, near_score(&tail, &folded));
        nearest_add(&nearest, name, score);
    }
    return nearest.count;
}

#define SUGGEST_NEAR  3
#define SUGGEST_FIRST 8

/* True when a model of this name stands before index `end` already. */
static bool is_listed(const struct catalogue *catalogue, size_t end)
{
    struct span name = span_of(catalogue->models[end].model);
    for (size_t i = 0; i < end; i++)
        if (span_equal_nocase(name, span_of(catalogue->models[i].model)))
            return true;
    return false;
}

static void suggest_first(const struct catalogue *catalogue, struct bytes *out)
{
    if (catalogue->model_count == 0)
        (void)bytes_add_span(out, SPAN("no model is configured")); /* a hint may be cut */
    size_t shown = 0;
    for (size_t i = 0; i < catalogue->model_count; i++) {
        if (is_listed(catalogue, i))
            continue;
        if (shown == SUGGEST_FIRST) {
            (void)bytes_add_span(out, SPAN(", ..."));
            return;
        }
        (void)bytes_addf(out, "%s%s", shown++ ? ", " : "configured: ", catalogue->models[i].model);
    }
}

void name_suggest(const struct catalogue *catalogue, struct span text, struct bytes *out)
{
    const char *names[SUGGEST_NEAR];
    size_t count = name_near(catalogue, text, names, SUGGEST_NEAR);
    if (count == 0) {
        suggest_first(catalogue, out);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const char *before = i == 0 ? "did you mean " : i + 1 < count ? ", " : " or ";
        (void)bytes_addf(out, "%s%s", before, names[i]); /* a hint may be cut */
    }
    (void)bytes_add_span(out, SPAN("?"));
}
