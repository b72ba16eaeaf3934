/*
 * A client's bytes on the control socket, as far as they are judged without a daemon: frames found,
 * unpacked, checked against the method's row. The first byte says in how large pieces they arrive.
 */
#include "control/params.h"
#include "proto/wire.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

/* However a frame is cut, the scan says the same in the end, and never more than it was given. */
static ssize_t scan_in_pieces(const char *data, size_t len, size_t piece)
{
    struct wire_scan scan = {0};
    for (size_t there = piece; there < len; there += piece) {
        ssize_t r = wire_scan(&scan, data, there);
        assert(r <= (ssize_t)there);
        if (r != 0)
            return r;
    }
    return wire_scan(&scan, data, len);
}

/* What was accepted can be sent on, and then means the same. */
static void pack_again(const struct wire_request *request)
{
    struct wire_frame frame;
    struct wire_request again;
    int r = wire_pack_request(request->msgid, request->method, request->params, &frame);
    if (r == -ERR_TOO_LARGE)
        return; /* floats grow from 5 bytes to 9 */
    assert(r == 0);
    assert(wire_unpack_request(frame.data, frame.len, &again) == 0);
    assert(again.msgid == request->msgid && !strcmp(again.method, request->method));
    assert(cJSON_GetArraySize(again.params) == cJSON_GetArraySize(request->params));
    wire_delete(again.params);
    wire_frame_release(&frame);
}

static void check_params(const struct wire_request *request)
{
    int id = method_by_name(request->method, strlen(request->method));
    struct err err = {0};
    if (id < 0)
        return;
    int r = params_check(method_row((enum method_id)id), request->params, &err);
    assert(r == 0 || (r == -ERR_BAD_PARAMS && err.detail[0]));
}

static void take_frame(const char *frame, size_t len)
{
    struct wire_request request;
    struct wire_response response;
    int r = wire_unpack_request(frame, len, &request);
    assert(r == 0 || r == -ERR_BAD_FRAME || r == -ERR_BAD_PARAMS);
    if (r == 0) {
        check_params(&request);
        pack_again(&request);
        wire_delete(request.params);
    }
    if (wire_unpack_response(frame, len, &response) == 0)
        wire_delete(response.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const char *at = (const char *)data + 1;
    size_t left = size - 1, piece = data[0] + 1u;
    while (left) {
        struct wire_scan scan = {0};
        ssize_t len = wire_scan(&scan, at, left);
        assert(len <= (ssize_t)left);
        assert(len == scan_in_pieces(at, left, piece));
        if (len <= 0)
            break;
        take_frame(at, (size_t)len);
        at += len;
        left -= (size_t)len;
    }
    /* unpacking is safe without a scan before it, too */
    take_frame((const char *)data + 1, size - 1);
    return 0;
}
