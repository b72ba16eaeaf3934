/*
 * How long a conversion of a whole request takes, and how much memory; `./dev bench conversion`.
 *
 * For every ordered pair of dialects, conversations of growing size: the time of decoding and
 * encoding, of each alone, and the peak of memory above what the body itself takes, as a multiple of
 * the body. Linear means that the time per megabyte stays. Each row is a process of its own, so that
 * the peak is its own too.
 */
#include "dialect/dialect.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 5

static const double sizes_mb[] = {1, 2.5, 5, 10, 20};

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- conversations: turns of a coding agent, about 6 KB each ---- */

static const char words[] =
    "static int read_line(struct reader *reader, struct span *ret)\\n{\\n    return "
    "reader_find(reader, '\\\\n', ret); /* \\u00e9\\u4f60 */\\n}\\n";

static void add_words(struct bytes *out, int count)
{
    for (int i = 0; i < count; i++)
        (void)bytes_addf(out, "%s", words); /* the buffer is large enough */
}

static void add_chat_turn(struct bytes *out, int turn)
{
    (void)bytes_addf(out,
                     ",{\"role\":\"assistant\",\"content\":\"Looking.\",\"tool_calls\":[{\"id\":"
                     "\"call_%d\",\"type\":\"function\",\"function\":{\"name\":\"read\","
                     "\"arguments\":\"{\\\"path\\\":\\\"src/file_%d.c\\\",\\\"text\\\":\\\"",
                     turn, turn);
    for (int i = 0; i < 20; i++)
        (void)bytes_addf(out, "int line_%d = 1; ", i);
    (void)bytes_addf(
        out, "\\\"}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"call_%d\",\"content\":\"", turn);
    add_words(out, 40);
    (void)bytes_addf(out, "\"}");
}

static void add_messages_turn(struct bytes *out, int turn)
{
    (void)bytes_addf(out,
                     ",{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":"
                     "\"Looking.\"},{\"type\":\"tool_use\",\"id\":\"toolu_%d\",\"name\":\"read\","
                     "\"input\":{\"path\":\"src/file_%d.c\",\"text\":\"",
                     turn, turn);
    for (int i = 0; i < 20; i++)
        (void)bytes_addf(out, "int line_%d = 1; ", i);
    (void)bytes_addf(out,
                     "\"}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
                     "\"tool_use_id\":\"toolu_%d\",\"content\":\"",
                     turn);
    add_words(out, 40);
    (void)bytes_addf(out, "\"}]}");
}

static const struct {
    const char *dialect;
    void (*add_turn)(struct bytes *out, int turn);
} shapes[] = {{"openai_chat", add_chat_turn}, {"anthropic", add_messages_turn}};

static struct bytes make_body(size_t shape, double megabytes)
{
    const size_t size = (size_t)(megabytes * 1e6);
    struct bytes body = {.max = size + (1 << 20)};
    if (bytes_reserve(&body, size + (1 << 16)) < 0)
        abort();
    (void)bytes_addf(&body, "{\"model\":\"m\",\"max_tokens\":1000,\"messages\":[{\"role\":\"user\","
                            "\"content\":\"Mend it.\"}");
    for (int turn = 0; body.len < size; turn++)
        shapes[shape].add_turn(&body, turn);
    (void)bytes_addf(&body, "]}");
    return body;
}

/* ---- measuring ---- */

struct measure {
    double decode_ms, encode_ms;
    size_t peak; /* bytes above what there was before */
};

static void check(int r, const struct err *err, const char *what)
{
    if (r == 0)
        return;
    fprintf(stderr, "%s: %d %s\n", what, r, err->detail);
    exit(1);
}

static size_t in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static struct measure convert(const struct dialect *from, const struct dialect *to,
                              struct span body)
{
    const struct ir_target target = {SPAN("m"), ir_capabilities_default(), 0};
    struct ir_request request = {0};
    struct ir_losses losses = {0};
    struct bytes out = {.max = 2 * body.len + (1 << 20)};
    struct arena arena;
    struct err err = {0};
    const size_t before = in_use();
    arena_init(&arena, 2 * body.len + (1 << 20));
    double started = now_ms();
    check(from->decode_request(body, &arena, &request, &losses, &err), &err, "decode");
    double decoded = now_ms();
    check(bytes_reserve(&out, body.len), &err, "reserve");
    check(to->encode_request(&request, &target, &arena, &losses, &out, &err), &err, "encode");
    struct measure measure = {decoded - started, now_ms() - decoded, in_use() - before};
    arena_release(&arena);
    bytes_release(&out);
    return measure;
}

static void print_row(size_t shape, const struct dialect *to, double megabytes)
{
    const struct dialect *from = dialect_by_name(span_of(shapes[shape].dialect));
    struct bytes body = make_body(shape, megabytes);
    struct measure best = {1e9, 1e9, 0};
    for (int round = 0; round < ROUNDS; round++) {
        struct measure one = convert(from, to, bytes_span(&body));
        best.decode_ms = one.decode_ms < best.decode_ms ? one.decode_ms : best.decode_ms;
        best.encode_ms = one.encode_ms < best.encode_ms ? one.encode_ms : best.encode_ms;
        best.peak = one.peak > best.peak ? one.peak : best.peak;
    }
    double mb = (double)body.len / 1e6;
    printf("%-12s -> %-12s %6.1f MB  decode %7.2f ms  encode %7.2f ms  %6.2f ms/MB  memory %.2f "
           "of the body, with the body %.2f\n",
           from->name, to->name, mb, best.decode_ms, best.encode_ms,
           (best.decode_ms + best.encode_ms) / mb, (double)best.peak / (double)body.len,
           (double)best.peak / (double)body.len + 1);
    bytes_release(&body);
}

int main(void)
{
    int status, failed = 0;
    for (size_t shape = 0; shape < sizeof(shapes) / sizeof(shapes[0]); shape++)
        for (const struct dialect *const *to = dialects; *to; to++)
            for (size_t i = 0; i < sizeof(sizes_mb) / sizeof(sizes_mb[0]); i++) {
                if (!strcmp((*to)->name, shapes[shape].dialect))
                    continue;
                fflush(stdout);
                pid_t child = fork();
                if (child == 0) {
                    print_row(shape, *to, sizes_mb[i]);
                    fflush(stdout);
                    _exit(0);
                }
                failed |= child < 0 || waitpid(child, &status, 0) < 0 || status != 0;
            }
    return failed;
}
