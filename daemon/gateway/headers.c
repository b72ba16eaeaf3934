/* See headers.h. */
#include "gateway/headers.h"

/* True when a lower-case name is in a list whose entries may end in '*'. */
static bool is_listed(struct span name, const char *const *list)
{
    for (; list && *list; list++) {
        struct span entry = span_of(*list);
        bool is_prefix = entry.len && entry.at[entry.len - 1] == '*';
        if (is_prefix ? span_starts(name, (struct span){entry.at, entry.len - 1})
                      : span_equal(name, entry))
            return true;
    }
    return false;
}

static void add_line(struct header_lines *lines, const char *line)
{
    if (line && lines->count < HEADERS_MAX)
        lines->lines[lines->count++] = line;
}

/*
 * The client's first header of a name that says something: libcurl would take an empty one for
 * none.
 */
static const struct http_header *client_header(const struct http_request *client, struct span name)
{
    for (size_t i = 0; client && i < client->header_count; i++)
        if (span_equal(client->headers[i].name, name) && client->headers[i].value.len)
            return &client->headers[i];
    return NULL;
}

static bool client_sent(const struct http_request *client, const char *line)
{
    struct span rest;
    return client_header(client, span_cut(span_of(line), ':', &rest)) != NULL;
}

/* The client's headers on the dialect's list, each name once. */
static void pass_on(const struct dialect *dialect, const struct http_request *client,
                    struct arena *arena, struct header_lines *ret)
{
    for (size_t i = 0; client && i < client->header_count; i++) {
        const struct http_header *header = &client->headers[i];
        if (is_listed(header->name, dialect->request_headers) &&
            client_header(client, header->name) == header)
            add_line(ret, arena_printf(arena, SPAN_FMT ": " SPAN_FMT, SPAN_ARG(header->name),
                                       SPAN_ARG(header->value)));
    }
}

void headers_to_provider(const struct dialect *dialect, const struct http_request *client,
                         bool is_stream, struct arena *arena, struct header_lines *ret)
{
    static const char own_agent[] = "user-agent: aictl/" AICTL_VERSION;
    *ret = (struct header_lines){0};
    add_line(ret, "content-type: application/json");
    if (!client_sent(client, own_agent))
        add_line(ret, own_agent);
    add_line(ret, is_stream ? "accept: text/event-stream" : "accept: application/json");
    pass_on(dialect, client, arena, ret);
    for (const char *const *line = dialect->default_headers; line && *line; line++)
        if (!client_sent(client, *line))
            add_line(ret, *line);
}

static const char *lower_line(struct arena *arena, const struct fetch_header *header)
{
    char *line = arena_printf(arena, SPAN_FMT ": " SPAN_FMT, SPAN_ARG(header->name),
                              SPAN_ARG(header->value));
    for (size_t i = 0; line && i < header->name.len; i++)
        if (line[i] >= 'A' && line[i] <= 'Z')
            line[i] = (char)(line[i] - 'A' + 'a');
    return line;
}

void headers_to_client(const struct dialect *dialect, const struct fetch_header *headers,
                       size_t count, struct arena *arena, struct header_lines *ret,
                       bool *ret_is_stream)
{
    *ret = (struct header_lines){0};
    *ret_is_stream = false;
    for (size_t i = 0; i < count; i++) {
        const char *line = lower_line(arena, &headers[i]);
        if (!line)
            return;
        struct span name = {line, headers[i].name.len};
        bool is_type = span_equal(name, SPAN("content-type"));
        if (is_type)
            *ret_is_stream = span_starts_nocase(headers[i].value, SPAN("text/event-stream"));
        if (is_type || is_listed(name, dialect->answer_headers))
            add_line(ret, line);
    }
}
