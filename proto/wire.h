/*
 * Wire: the frames of the control socket. msgpack-RPC over a stream, shared by daemon and client.
 *
 *   frame     one message, complete: the bytes of one msgpack array of four
 *   request   [0, msgid, method, params]    params: an array of one map, or an empty array
 *   response  [1, msgid, error, result]     error: nil, or a map {code, kind, message, detail,
 * next} scan      a look at the headers of untrusted bytes *before* msgpack-c unpacks them
 *
 * Why the scan: msgpack-c allocates what a header announces, so five bytes that announce an array
 * of 100 million cost 4 GiB of address space, and nested ones more. The scan refuses whatever
 * announces more than a frame can hold, without allocating anything; it also finds where a frame
 * ends.
 *
 *     bytes -> wire_scan() -> frame -> wire_unpack_request() -> struct wire_request (cJSON)
 *     cJSON -> wire_pack_response() -> struct wire_frame -> bytes
 *
 * Values are those JSON has: nil, booleans, numbers (integers within +-2^53), strings of valid
 * UTF-8 without NUL, arrays, maps with string keys. Binary and extension types are refused.
 *
 * Every function returns 0 (or what it says) or the negative of a kind of errors.h. Nothing here
 * needs a daemon: client/ uses it as it is.
 */
#pragma once

#include "proto/errors.h"

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WIRE_FRAME_MAX  (1024 * 1024) /* bytes of one frame */
#define WIRE_DEPTH      16    /* arrays and maps inside each other, the frame's own included */
#define WIRE_VALUES_MAX 65536 /* values in one frame: bounds memory at about 100 bytes for each */
#define WIRE_METHOD_MAX 64    /* room for a method's name with its NUL */

/* ---- scanning untrusted bytes ---- */

/* How far the frame at the start of a buffer was looked at. Zero-initialise for each new frame. */
struct wire_scan {
    size_t at;          /* next header to look at; may lie behind the bytes that are there */
    uint32_t announced; /* values announced so far, the frame's array included */
    uint32_t seen;      /* of these, values whose header was looked at */
    unsigned depth;     /* containers open */
    uint32_t missing[WIRE_DEPTH]; /* values each open container still lacks */
};

/*
 * Goes on scanning the frame that starts at data[0]; `len` bytes are there, which begin with those
 * of the calls before. Returns the frame's length when it is complete, 0 when bytes are missing.
 * -ERR_TOO_LARGE: it announces more than WIRE_FRAME_MAX bytes, WIRE_VALUES_MAX values, more values
 * than the rest of a largest frame could hold, or is nested deeper than WIRE_DEPTH. -ERR_BAD_FRAME:
 * byte 0xc1, a binary or extension type. After an error the stream cannot be trusted any more.
 *
 * Each header is looked at once and payloads are skipped, so the work for a frame is linear in its
 * headers, however it was cut: a call that brings nothing new costs one comparison.
 */
ssize_t wire_scan(struct wire_scan *scan, const char *data, size_t len);

/* ---- requests and responses ---- */

struct wire_request {
    uint32_t msgid;
    char method[WIRE_METHOD_MAX];
    cJSON *params; /* an object, empty when the request has none; wire_delete() it */
    char refused[WIRE_METHOD_MAX]; /* after -ERR_BAD_PARAMS: the parameter at fault, cut; or "" */
};

/* What went wrong with a call. */
struct wire_error {
    int kind;            /* 0: nothing */
    const char *message; /* what happened; packing with NULL takes the kind's text */
    const char *detail;  /* the thing at fault, or NULL */
    const char *next;    /* what to try next, or NULL; packing with NULL takes the kind's */
};

struct wire_response {
    uint32_t msgid;
    struct wire_error error; /* its texts point into `body` */
    cJSON *result;           /* in `body`; NULL when there is an error */
    cJSON *body;             /* owns everything; wire_delete() it */
};

/*
 * Unpacks one complete frame, whose end wire_scan() found; safe on any bytes.
 *
 * -ERR_BAD_FRAME: not a request at all (kind, arity, msgid above 32 bits, method); ret->msgid is
 * its number where that could be read, else 0. -ERR_BAD_PARAMS: a request whose params are not an
 * array of one map, or hold a value JSON does not have; msgid and method are set. Nothing is to be
 * freed after a failure.
 */
int wire_unpack_request(const char *frame, size_t len, struct wire_request *ret);

/* The same for a response; everything that is wrong is -ERR_BAD_FRAME. */
int wire_unpack_response(const char *frame, size_t len, struct wire_response *ret);

/* Packed bytes to be sent. */
struct wire_frame {
    char *data;
    size_t len;
    size_t cap;
};

/*
 * Packs a message into `ret`, which wire_frame_release() frees. params: an object, or NULL for
 * none. A response has either error->kind != 0 or a result (NULL: nil). -ERR_TOO_LARGE when it
 * would be more than one frame; -ERR_INVALID_REQUEST for a number that is not finite, a string that
 * is not UTF-8 or nesting deeper than the scan of the other side accepts.
 */
int wire_pack_request(uint32_t msgid, const char *method, const cJSON *params,
                      struct wire_frame *ret);
int wire_pack_response(uint32_t msgid, const struct wire_error *error, const cJSON *result,
                       struct wire_frame *ret);

/* Wipes and frees the bytes of a frame. */
void wire_frame_release(struct wire_frame *frame);

/* Deletes a tree after zeroing every string in it. NULL is fine. Returns NULL. */
cJSON *wire_delete(cJSON *tree);

/* True when the bytes are UTF-8 (no surrogates, no overlong forms) without NUL. */
bool wire_is_text(const char *text, size_t len);
