/* Frames of the control socket: hostile ones (B-12 of the test catalogue), cut ones, round trips.
 */
#include "proto/wire.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A vector of bytes with embedded zeros. */
#define BYTES(literal) literal, sizeof(literal) - 1

static ssize_t scan_all(const char *data, size_t len)
{
    struct wire_scan scan = {0};
    return wire_scan(&scan, data, len);
}

/* Feeds one byte more at each call; what it says at the end must not depend on the cuts. */
static ssize_t scan_bytewise(const char *data, size_t len)
{
    struct wire_scan scan = {0};
    for (size_t n = 1; n < len; n++) {
        ssize_t r = wire_scan(&scan, data, n);
        if (r != 0)
            return r;
    }
    return wire_scan(&scan, data, len);
}

/* Pages of address space, from /proc: what an announced array would have taken. */
static long vm_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    cr_assert(file && fscanf(file, "%ld", &pages) == 1);
    fclose(file);
    return pages * 4096;
}

static const struct {
    const char *what;
    const char *data;
    size_t len;
    int kind; /* what the scan must say */
} bombs[] = {
    {"array32 of 100 million", BYTES("\xdd\x05\xf5\xe1\x00"), ERR_TOO_LARGE},
    {"array32 of 4 G", BYTES("\xdd\xff\xff\xff\xff"), ERR_TOO_LARGE},
    {"map32 of 4 G", BYTES("\xdf\xff\xff\xff\xff"), ERR_TOO_LARGE},
    {"map32 of 2 G, whose double wraps 32 bits", BYTES("\xdf\x80\x00\x00\x01"), ERR_TOO_LARGE},
    {"str32 of 4 G", BYTES("\xdb\xff\xff\xff\xff"), ERR_TOO_LARGE},
    {"str32 of 1 GiB inside a request", BYTES("\x94\x00\x01\xdb\x40\x00\x00\x00"), ERR_TOO_LARGE},
    {"byte 0xc1", BYTES("\xc1"), ERR_BAD_FRAME},
    {"byte 0xc1 inside", BYTES("\x94\x00\x01\xc1"), ERR_BAD_FRAME},
    {"bin8", BYTES("\xc4\x01x"), ERR_BAD_FRAME},
    {"bin32", BYTES("\xc6\xff\xff\xff\xff"), ERR_BAD_FRAME},
    {"ext8", BYTES("\xc7\x01\x01x"), ERR_BAD_FRAME},
    {"ext32", BYTES("\xc9\xff\xff\xff\xff\x01"), ERR_BAD_FRAME},
    {"fixext1", BYTES("\xd4\x01x"), ERR_BAD_FRAME},
    {"fixext16", BYTES("\x94\xd8"), ERR_BAD_FRAME},
};

Test(wire, what_announces_too_much_is_refused_before_it_costs_memory)
{
    long before = vm_bytes();
    for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
        struct wire_request request;
        cr_expect_eq(scan_all(bombs[i].data, bombs[i].len), -bombs[i].kind, "%s", bombs[i].what);
        cr_expect_eq(scan_bytewise(bombs[i].data, bombs[i].len), -bombs[i].kind, "%s, cut",
                     bombs[i].what);
        cr_expect_eq(wire_unpack_request(bombs[i].data, bombs[i].len, &request), -ERR_BAD_FRAME);
    }
    cr_expect_lt(vm_bytes() - before, 1024 * 1024);
}

Test(wire, nested_announcements_add_up)
{
    char nested[150];
    for (size_t i = 0; i < sizeof(nested); i += 5)
        memcpy(nested + i, "\xdd\x00\x00\x80\x00", 5); /* 32768 each: two fit, three do not */
    long before = vm_bytes();
    cr_expect_eq(scan_all(nested, 5), 0);
    cr_expect_eq(scan_all(nested, sizeof(nested)), -ERR_TOO_LARGE);
    cr_expect_lt(vm_bytes() - before, 1024 * 1024);
}

Test(wire, depth_is_bounded)
{
    char deep[40];
    memset(deep, 0x91, sizeof(deep)); /* arrays of one */
    deep[WIRE_DEPTH] = (char)0xc0;
    cr_expect_eq(scan_all(deep, WIRE_DEPTH + 1), WIRE_DEPTH + 1);
    deep[WIRE_DEPTH] = (char)0x91;
    cr_expect_eq(scan_all(deep, WIRE_DEPTH + 1), -ERR_TOO_LARGE);
    cr_expect_eq(scan_all(deep, 33), -ERR_TOO_LARGE);
}

Test(wire, a_frame_is_at_most_one_mebibyte)
{
    char *frame = calloc(1, WIRE_FRAME_MAX + 16);
    const size_t body = WIRE_FRAME_MAX - 8;
    memcpy(frame, "\x94\x00\x01\xdb", 4); /* the fourth value is missing: one byte too few */
    frame[4] = (char)(body >> 24), frame[5] = (char)(body >> 16);
    frame[6] = (char)(body >> 8), frame[7] = (char)body;
    cr_expect_eq(scan_all(frame, WIRE_FRAME_MAX), 0);
    cr_expect_eq(scan_all(frame, WIRE_FRAME_MAX + 1), -ERR_TOO_LARGE);
    free(frame);
}

Test(wire, more_values_than_the_bound_are_refused)
{
    const size_t half = WIRE_VALUES_MAX - 1;
    char head[3] = {(char)0xdc, (char)(half >> 8), (char)half};
    cr_expect_eq(scan_all(head, sizeof(head)), 0, "the bound itself is fine");
    cr_expect_eq(scan_all("\xdd\x00\x01\x00\x00", 5), -ERR_TOO_LARGE);
}

static struct wire_frame sample_request(void)
{
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "dir", "/home/me/\xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\xa7");
    cJSON_AddNumberToObject(params, "recent", -300);
    cJSON_AddNumberToObject(params, "big", 9007199254740992.0);
    cJSON_AddNumberToObject(params, "half", 0.5);
    cJSON_AddTrueToObject(params, "global");
    cJSON_AddNullToObject(params, "nothing");
    cJSON *models = cJSON_AddArrayToObject(params, "models");
    cJSON_AddItemToArray(models, cJSON_CreateString(""));
    cJSON_AddItemToArray(models, cJSON_CreateObject());
    struct wire_frame frame;
    cr_assert_eq(wire_pack_request(7, "model.switch", params, &frame), 0);
    wire_delete(params);
    return frame;
}

Test(wire, a_request_survives_the_round_trip)
{
    struct wire_frame frame = sample_request();
    struct wire_request request;
    cr_assert_eq(wire_unpack_request(frame.data, frame.len, &request), 0);
    cr_expect_eq(request.msgid, 7);
    cr_expect_str_eq(request.method, "model.switch");
    cJSON *big = cJSON_DetachItemFromObjectCaseSensitive(request.params, "big");
    cr_expect(cJSON_IsNumber(big) && big->valuedouble == 9007199254740992.0);
    cJSON_Delete(big);
    char *text =
        cJSON_PrintUnformatted(request.params); /* cJSON rounds to 15 digits in print only */
    cr_expect_str_eq(text, "{\"dir\":\"/home/me/\xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\xa7\","
                           "\"recent\":-300,\"half\":0.5,\"global\":true,\"nothing\":null,"
                           "\"models\":[\"\",{}]}");
    free(text);
    wire_delete(request.params);
    wire_frame_release(&frame);
}

Test(wire, a_cut_request_is_incomplete_at_every_byte)
{
    struct wire_frame frame = sample_request();
    for (size_t n = 0; n < frame.len; n++) {
        struct wire_request request;
        char *exact = malloc(n ? n : 1); /* so that a sanitizer sees a read behind the end */
        memcpy(exact, frame.data, n);
        cr_expect_eq(scan_all(exact, n), 0, "%zu of %zu bytes", n, frame.len);
        cr_expect_eq(wire_unpack_request(exact, n, &request), -ERR_BAD_FRAME);
        free(exact);
    }
    cr_expect_eq(scan_bytewise(frame.data, frame.len), (ssize_t)frame.len);
    wire_frame_release(&frame);
}

Test(wire, a_frame_ends_where_the_next_one_begins)
{
    struct wire_frame frame = sample_request();
    char *two = malloc(frame.len * 2);
    memcpy(two, frame.data, frame.len);
    memcpy(two + frame.len, frame.data, frame.len);
    cr_expect_eq(scan_all(two, frame.len * 2), (ssize_t)frame.len);
    struct wire_request request;
    cr_expect_eq(wire_unpack_request(two, frame.len * 2, &request), -ERR_BAD_FRAME);
    free(two);
    wire_frame_release(&frame);
}

static const struct {
    const char *what;
    const char *data;
    size_t len;
    int kind;
    uint32_t msgid;
} not_requests[] = {
    {"an integer", BYTES("\x01"), ERR_BAD_FRAME, 0},
    {"text of another protocol", BYTES("G"), ERR_BAD_FRAME, 0},
    {"an empty array", BYTES("\x90"), ERR_BAD_FRAME, 0},
    {"arity 3", BYTES("\x93\x00\x05\xa1m"), ERR_BAD_FRAME, 5},
    {"arity 5", BYTES("\x95\x00\x05\xa1m\x90\xc0"), ERR_BAD_FRAME, 5},
    {"a notification", BYTES("\x93\x02\xa1m\x90"), ERR_BAD_FRAME, 0},
    {"a response", BYTES("\x94\x01\x05\xc0\xc0"), ERR_BAD_FRAME, 5},
    {"a kind of wrong type", BYTES("\x94\xc3\x05\xa1m\x90"), ERR_BAD_FRAME, 5},
    {"msgid above 32 bits", BYTES("\x94\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xa1m\x90"),
     ERR_BAD_FRAME, 0},
    {"negative msgid", BYTES("\x94\x00\xff\xa1m\x90"), ERR_BAD_FRAME, 0},
    {"msgid as text",
     BYTES("\x94\x00\xa1"
           "1"
           "\xa1m\x90"),
     ERR_BAD_FRAME, 0},
    {"method as number", BYTES("\x94\x00\x05\x01\x90"), ERR_BAD_FRAME, 5},
    {"empty method", BYTES("\x94\x00\x05\xa0\x90"), ERR_BAD_FRAME, 5},
    {"method with NUL", BYTES("\x94\x00\x05\xa2m\x00\x90"), ERR_BAD_FRAME, 5},
    {"params nil", BYTES("\x94\x00\x05\xa1m\xc0"), ERR_BAD_PARAMS, 5},
    {"params a bare map", BYTES("\x94\x00\x05\xa1m\x80"), ERR_BAD_PARAMS, 5},
    {"params of two maps", BYTES("\x94\x00\x05\xa1m\x92\x80\x80"), ERR_BAD_PARAMS, 5},
    {"params with a number as name", BYTES("\x94\x00\x05\xa1m\x91\x81\x01\x01"), ERR_BAD_PARAMS, 5},
    {"text with NUL",
     BYTES("\x94\x00\x05\xa1m\x91\x81\xa1"
           "a"
           "\xa1\x00"),
     ERR_BAD_PARAMS, 5},
    {"text that is not UTF-8",
     BYTES("\x94\x00\x05\xa1m\x91\x81\xa1"
           "a"
           "\xa1\xff"),
     ERR_BAD_PARAMS, 5},
    {"2^53 + 1",
     BYTES("\x94\x00\x05\xa1m\x91\x81\xa1"
           "a"
           "\xcf\x00\x20\x00\x00\x00\x00\x00\x01"),
     ERR_BAD_PARAMS, 5},
    {"-2^53 - 1",
     BYTES("\x94\x00\x05\xa1m\x91\x81\xa1"
           "a"
           "\xd3\xff\xdf\xff\xff\xff\xff\xff\xff"),
     ERR_BAD_PARAMS, 5},
    {"not a number",
     BYTES("\x94\x00\x05\xa1m\x91\x81\xa1"
           "a"
           "\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"),
     ERR_BAD_PARAMS, 5},
};

Test(wire, what_is_not_a_request_is_refused_with_its_number)
{
    for (size_t i = 0; i < sizeof(not_requests) / sizeof(not_requests[0]); i++) {
        struct wire_request request;
        cr_expect_eq(scan_all(not_requests[i].data, not_requests[i].len),
                     (ssize_t)not_requests[i].len, "%s", not_requests[i].what);
        cr_expect_eq(wire_unpack_request(not_requests[i].data, not_requests[i].len, &request),
                     -not_requests[i].kind, "%s", not_requests[i].what);
        cr_expect_eq(request.msgid, not_requests[i].msgid, "%s", not_requests[i].what);
    }
}

Test(wire, a_refused_parameter_is_named)
{
    struct wire_request request;
    const char frame[] = "\x94\x00\x05\xa1m\x91\x82\xa3"
                         "one"
                         "\x01\xa3"
                         "dir"
                         "\xa2/\x00";
    cr_expect_eq(wire_unpack_request(frame, sizeof(frame) - 1, &request), -ERR_BAD_PARAMS);
    cr_expect_str_eq(request.refused, "dir");
}

Test(wire, the_largest_msgid_and_no_params_are_fine)
{
    struct wire_request request;
    const char frame[] = "\x94\x00\xce\xff\xff\xff\xff\xa6status\x90";
    cr_assert_eq(wire_unpack_request(frame, sizeof(frame) - 1, &request), 0);
    cr_expect_eq(request.msgid, UINT32_MAX);
    cr_expect(cJSON_IsObject(request.params));
    cr_expect_null(request.params->child);
    wire_delete(request.params);
}

Test(wire, an_error_response_carries_the_row_of_its_kind)
{
    struct wire_error error = {.kind = ERR_MODEL_NOT_FOUND,
                               .detail = "\"glm\": did you mean glm-4.6?"};
    struct wire_frame frame;
    struct wire_response response;
    cr_assert_eq(wire_pack_response(9, &error, NULL, &frame), 0);
    cr_assert_eq(wire_unpack_response(frame.data, frame.len, &response), 0);
    cr_expect_eq(response.msgid, 9);
    cr_expect_eq(response.error.kind, ERR_MODEL_NOT_FOUND);
    cr_expect_str_eq(response.error.message, error_row(ERR_MODEL_NOT_FOUND)->text);
    cr_expect_str_eq(response.error.detail, error.detail);
    cr_expect_str_eq(response.error.next, error_row(ERR_MODEL_NOT_FOUND)->next);
    cr_expect_null(response.result);
    wire_delete(response.body);
    wire_frame_release(&frame);
}

Test(wire, a_result_comes_back)
{
    cJSON *result = cJSON_CreateObject();
    cJSON_AddStringToObject(result, "model", "glm-4.6");
    struct wire_frame frame;
    struct wire_response response;
    cr_assert_eq(wire_pack_response(1, NULL, result, &frame), 0);
    cr_assert_eq(wire_unpack_response(frame.data, frame.len, &response), 0);
    cr_expect_eq(response.error.kind, 0);
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(response.result, "model");
    cr_expect_str_eq(cJSON_GetStringValue(model), "glm-4.6");
    wire_delete(response.body);
    wire_frame_release(&frame);
    wire_delete(result);
}

Test(wire, an_error_that_is_no_map_is_a_bad_frame)
{
    struct wire_response response;
    cr_expect_eq(wire_unpack_response(BYTES("\x94\x01\x05\xa3"
                                            "bad"
                                            "\xc0"),
                                      &response),
                 -ERR_BAD_FRAME);
    cr_expect_eq(wire_unpack_response(BYTES("\x94\x01\x05\x80\xc0"), &response), -ERR_BAD_FRAME);
}

static int pack_result(cJSON *result)
{
    struct wire_frame frame;
    int r = wire_pack_response(1, NULL, result, &frame);
    if (r < 0)
        cr_expect_null(frame.data, "nothing is left after a failure");
    wire_frame_release(&frame);
    wire_delete(result);
    return r;
}

Test(wire, what_the_other_side_would_refuse_is_not_packed)
{
    cJSON *deep = cJSON_CreateArray();
    for (int i = 0; i < WIRE_DEPTH; i++) {
        cJSON *outer = cJSON_CreateArray();
        cJSON_AddItemToArray(outer, deep);
        deep = outer;
    }
    cr_expect_eq(pack_result(deep), -ERR_INVALID_REQUEST);
    cr_expect_eq(pack_result(cJSON_CreateString("\xff")), -ERR_INVALID_REQUEST);
    cr_expect_eq(pack_result(cJSON_CreateNumber(HUGE_VAL)), -ERR_INVALID_REQUEST);
    cr_expect_eq(pack_result(cJSON_CreateRaw("1")), -ERR_INVALID_REQUEST);

    char *text = malloc(WIRE_FRAME_MAX + 1);
    memset(text, 'x', WIRE_FRAME_MAX);
    text[WIRE_FRAME_MAX] = '\0';
    cr_expect_eq(pack_result(cJSON_CreateString(text)), -ERR_TOO_LARGE);
    free(text);

    cJSON *many = cJSON_CreateArray();
    for (int i = 0; i < WIRE_VALUES_MAX; i++)
        cJSON_AddItemToArray(many, cJSON_CreateTrue());
    cr_expect_eq(pack_result(many), -ERR_TOO_LARGE);
}

Test(wire, text_is_utf8_without_nul)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2z",
                                      "\xe0\x80\x80",
                                      "\xe2\x82",
                                      "\xed\xa0\x80",
                                      "\xf0\x80\x80\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "ok\xfe"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_expect(wire_is_text(good[i], strlen(good[i])), "good %zu", i);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_not(wire_is_text(bad[i], strlen(bad[i])), "bad %zu", i);
    cr_expect_not(wire_is_text("a\0b", 3));
}

Test(wire, scanning_byte_by_byte_is_linear)
{
    cJSON *many = cJSON_CreateArray();
    for (int i = 0; i < 60000; i++)
        cJSON_AddItemToArray(many, cJSON_CreateString("abcdefgh"));
    struct wire_frame frame;
    cr_assert_eq(wire_pack_response(1, NULL, many, &frame), 0);
    wire_delete(many);
    cr_expect_eq(scan_bytewise(frame.data, frame.len), (ssize_t)frame.len,
                 "half a million calls; a quadratic scan would time out");
    wire_frame_release(&frame);
}
