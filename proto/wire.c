/*
 * See wire.h. In the order of the bytes: the scan of headers, msgpack to cJSON, cJSON to msgpack.
 *
 * Requests carry keys, so memory that held strings is wiped before it is freed. msgpack-c itself
 * copies none: the strings it hands out point into the frame.
 */
#include "proto/wire.h"

#include <math.h>
#include <msgpack.h>
#include <stdbool.h>
#include <string.h>

#define INT_MAX_EXACT                                                                              \
    9007199254740992 /* 2^53: beyond it a double is not the number that was sent */

enum { KIND_REQUEST = 0, KIND_RESPONSE = 1 };

/* ---- scan ---- */

enum head_type { HEAD_SCALAR, HEAD_STRING, HEAD_ARRAY, HEAD_MAP, HEAD_REFUSED };

/* What the first byte of a value says: its type, and how many bytes of length or number follow. */
struct head {
    enum head_type type;
    unsigned extra;
};

static struct head head_of(unsigned char byte)
{
    static const struct head heads[0x20] = {
        [0x00] = {HEAD_SCALAR, 0},                              /* nil */
        [0x01] = {HEAD_REFUSED, 0},                             /* never used by msgpack */
        [0x02] = {HEAD_SCALAR, 0},                              /* false */
        [0x03] = {HEAD_SCALAR, 0},                              /* true */
        [0x04] = {HEAD_REFUSED, 0}, [0x05] = {HEAD_REFUSED, 0}, /* bin */
        [0x06] = {HEAD_REFUSED, 0}, [0x07] = {HEAD_REFUSED, 0}, /* bin, ext */
        [0x08] = {HEAD_REFUSED, 0}, [0x09] = {HEAD_REFUSED, 0}, /* ext */
        [0x0a] = {HEAD_SCALAR, 4},  [0x0b] = {HEAD_SCALAR, 8},  /* float */
        [0x0c] = {HEAD_SCALAR, 1},  [0x0d] = {HEAD_SCALAR, 2},  /* uint */
        [0x0e] = {HEAD_SCALAR, 4},  [0x0f] = {HEAD_SCALAR, 8},  /* uint */
        [0x10] = {HEAD_SCALAR, 1},  [0x11] = {HEAD_SCALAR, 2},  /* int */
        [0x12] = {HEAD_SCALAR, 4},  [0x13] = {HEAD_SCALAR, 8},  /* int */
        [0x14] = {HEAD_REFUSED, 0}, [0x15] = {HEAD_REFUSED, 0}, /* fixext */
        [0x16] = {HEAD_REFUSED, 0}, [0x17] = {HEAD_REFUSED, 0}, /* fixext */
        [0x18] = {HEAD_REFUSED, 0},                             /* fixext */
        [0x19] = {HEAD_STRING, 1},  [0x1a] = {HEAD_STRING, 2},  [0x1b] = {HEAD_STRING, 4},
        [0x1c] = {HEAD_ARRAY, 2},   [0x1d] = {HEAD_ARRAY, 4},   [0x1e] = {HEAD_MAP, 2},
        [0x1f] = {HEAD_MAP, 4},
    };
    if (byte >= 0xc0 && byte < 0xe0)
        return heads[byte - 0xc0];
    if (byte >= 0x80 && byte < 0x90)
        return (struct head){HEAD_MAP, 0};
    if (byte >= 0x90 && byte < 0xa0)
        return (struct head){HEAD_ARRAY, 0};
    if (byte >= 0xa0 && byte < 0xc0)
        return (struct head){HEAD_STRING, 0};
    return (struct head){HEAD_SCALAR, 0};
}

/* The length a header announces: in its first byte, or in the `extra` bytes behind it. */
static uint64_t announced_length(struct head head, const unsigned char *at)
{
    if (head.extra == 0)
        return head.type == HEAD_STRING ? at[0] & 0x1f : at[0] & 0x0f;
    uint64_t length = 0;
    for (unsigned i = 1; i <= head.extra; i++)
        length = length << 8 | at[i];
    return length;
}

/* One value is complete: so are the containers whose last one it was. */
static void close_full(struct wire_scan *scan)
{
    while (scan->depth && --scan->missing[scan->depth - 1] == 0)
        scan->depth--;
}

/* A container was announced; what it holds must still fit. */
static int open_container(struct wire_scan *scan, uint64_t values)
{
    if (values == 0) {
        close_full(scan);
        return 0;
    }
    if (scan->depth == WIRE_DEPTH || values > WIRE_VALUES_MAX - scan->announced)
        return -ERR_TOO_LARGE;
    scan->announced += (uint32_t)values;
    if (scan->announced - scan->seen > WIRE_FRAME_MAX - scan->at) /* a value is a byte at least */
        return -ERR_TOO_LARGE;
    scan->missing[scan->depth++] = (uint32_t)values;
    return 0;
}

/* The value whose header stands complete at scan->at. */
static int scan_value(struct wire_scan *scan, struct head head, const unsigned char *at)
{
    scan->seen++;
    scan->at += 1 + head.extra;
    if (scan->at > WIRE_FRAME_MAX)
        return -ERR_TOO_LARGE;
    if (head.type == HEAD_SCALAR) {
        close_full(scan);
        return 0;
    }
    uint64_t length = announced_length(head, at);
    if (head.type == HEAD_ARRAY)
        return open_container(scan, length);
    if (head.type == HEAD_MAP)
        return open_container(scan, length * 2);
    if (length > WIRE_FRAME_MAX - scan->at)
        return -ERR_TOO_LARGE;
    scan->at += length;
    close_full(scan);
    return 0;
}

ssize_t wire_scan(struct wire_scan *scan, const char *data, size_t len)
{
    if (scan->announced == 0)
        scan->announced = 1; /* the frame itself */
    while (scan->seen < scan->announced && scan->at < len) {
        const unsigned char *at = (const unsigned char *)data + scan->at;
        struct head head = head_of(at[0]);
        if (head.type == HEAD_REFUSED)
            return -ERR_BAD_FRAME;
        if (len - scan->at < 1 + head.extra)
            return 0;
        int r = scan_value(scan, head, at);
        if (r < 0)
            return r;
    }
    return scan->seen == scan->announced && scan->at <= len ? (ssize_t)scan->at : 0;
}

/* ---- text ---- */

/* Length of the UTF-8 sequence at `at`, 0 when it is none; the smallest code point is checked. */
static size_t sequence_length(const unsigned char *at, size_t left)
{
    static const uint32_t smallest[5] = {0, 1, 0x80, 0x800, 0x10000};
    size_t n = at[0] < 0x80 ? 1 : at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    uint32_t code = n == 1 ? at[0] : at[0] & (0x7fu >> n);
    if (n > left || (at[0] >= 0x80 && at[0] < 0xc0) || at[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3f);
    }
    bool is_scalar = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return code >= smallest[n] && is_scalar ? n : 0;
}

bool wire_is_text(const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = sequence_length((const unsigned char *)text + i, len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

static void wipe_text(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
}

static void wipe_strings(cJSON *item)
{
    for (; item; item = item->next) {
        wipe_text(item->valuestring);
        wipe_strings(item->child);
    }
}

cJSON *wire_delete(cJSON *tree)
{
    if (tree) {
        wipe_text(tree->valuestring);
        wipe_strings(tree->child);
        cJSON_Delete(tree);
    }
    return NULL;
}

/* ---- msgpack to cJSON; NULL means the value is refused (or memory is out) ---- */

static cJSON *from_object(const msgpack_object *object);

/* A checked, terminated copy in cJSON's memory. */
static char *copy_text(const msgpack_object_str *str)
{
    if (!wire_is_text(str->ptr, str->size))
        return NULL;
    char *copy = cJSON_malloc((size_t)str->size + 1);
    if (!copy)
        return NULL;
    if (str->size)
        memcpy(copy, str->ptr, str->size);
    copy[str->size] = '\0';
    return copy;
}

static cJSON *from_string(const msgpack_object_str *str)
{
    char *text = copy_text(str);
    cJSON *item = text ? cJSON_CreateNull() : NULL;
    if (!item) {
        wipe_text(text);
        cJSON_free(text);
        return NULL;
    }
    item->type = cJSON_String; /* made by hand: cJSON_CreateString() would want another copy */
    item->valuestring = text;
    return item;
}

static cJSON *from_number(const msgpack_object *object)
{
    if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        return object->via.u64 <= INT_MAX_EXACT ? cJSON_CreateNumber((double)object->via.u64)
                                                : NULL;
    if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return object->via.i64 >= -INT_MAX_EXACT ? cJSON_CreateNumber((double)object->via.i64)
                                                 : NULL;
    return isfinite(object->via.f64) ? cJSON_CreateNumber(object->via.f64) : NULL;
}

static cJSON *from_array(const msgpack_object_array *array)
{
    cJSON *result = cJSON_CreateArray();
    for (uint32_t i = 0; result && i < array->size; i++) {
        cJSON *item = from_object(&array->ptr[i]);
        if (!item)
            return wire_delete(result);
        cJSON_AddItemToArray(result, item);
    }
    return result;
}

static cJSON *from_map(const msgpack_object_map *map)
{
    cJSON *result = cJSON_CreateObject();
    for (uint32_t i = 0; result && i < map->size; i++) {
        const msgpack_object_kv *member = &map->ptr[i];
        bool is_named = member->key.type == MSGPACK_OBJECT_STR;
        char *name = is_named ? copy_text(&member->key.via.str) : NULL;
        cJSON *item = name ? from_object(&member->val) : NULL;
        if (!item) {
            cJSON_free(name);
            return wire_delete(result);
        }
        item->string = name;
        cJSON_AddItemToArray(result, item); /* an object's members are a list like an array's */
    }
    return result;
}

static cJSON *from_object(const msgpack_object *object)
{
    switch (object->type) {
    case MSGPACK_OBJECT_NIL:
        return cJSON_CreateNull();
    case MSGPACK_OBJECT_BOOLEAN:
        return cJSON_CreateBool(object->via.boolean);
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return from_number(object);
    case MSGPACK_OBJECT_STR:
        return from_string(&object->via.str);
    case MSGPACK_OBJECT_ARRAY:
        return from_array(&object->via.array);
    case MSGPACK_OBJECT_MAP:
        return from_map(&object->via.map);
    default: /* binary and extension types, which the scan refuses already */
        return NULL;
    }
}

/* ---- unpacking messages ---- */

/* A frame unpacked by msgpack-c after the scan allowed it; its strings point into the frame. */
static int unpack_frame(const char *frame, size_t len, msgpack_unpacked *ret)
{
    struct wire_scan scan = {0};
    if (wire_scan(&scan, frame, len) != (ssize_t)len)
        return -ERR_BAD_FRAME;
    size_t offset = 0;
    msgpack_unpacked_init(ret);
    if (msgpack_unpack_next(ret, frame, len, &offset) == MSGPACK_UNPACK_SUCCESS)
        return 0;
    msgpack_unpacked_destroy(ret);
    return -ERR_BAD_FRAME;
}

/* [kind, msgid, a, b]. The msgid is read even when something else is wrong. */
static int read_envelope(const msgpack_object *root, uint64_t kind, uint32_t *ret_msgid)
{
    *ret_msgid = 0;
    if (root->type != MSGPACK_OBJECT_ARRAY || root->via.array.size < 2)
        return -ERR_BAD_FRAME;
    const msgpack_object *items = root->via.array.ptr;
    if (items[1].type != MSGPACK_OBJECT_POSITIVE_INTEGER || items[1].via.u64 > UINT32_MAX)
        return -ERR_BAD_FRAME;
    *ret_msgid = (uint32_t)items[1].via.u64;
    bool is_kind = items[0].type == MSGPACK_OBJECT_POSITIVE_INTEGER && items[0].via.u64 == kind;
    return is_kind && root->via.array.size == 4 ? 0 : -ERR_BAD_FRAME;
}

static int read_method(const msgpack_object *object, char ret[WIRE_METHOD_MAX])
{
    const msgpack_object_str *name = &object->via.str;
    if (object->type != MSGPACK_OBJECT_STR || name->size == 0 || name->size >= WIRE_METHOD_MAX ||
        !wire_is_text(name->ptr, name->size))
        return -ERR_BAD_FRAME;
    memcpy(ret, name->ptr, name->size);
    ret[name->size] = '\0';
    return 0;
}

/* An array of one map, or an empty array. */
static cJSON *read_params(const msgpack_object *object)
{
    const msgpack_object_array *array = &object->via.array;
    if (object->type != MSGPACK_OBJECT_ARRAY || array->size > 1)
        return NULL;
    if (array->size == 0)
        return cJSON_CreateObject();
    return array->ptr[0].type == MSGPACK_OBJECT_MAP ? from_object(&array->ptr[0]) : NULL;
}

/* Which parameter it was that JSON cannot hold, as far as that has a name. */
static void name_refused(const msgpack_object *object, char ret[WIRE_METHOD_MAX])
{
    const msgpack_object_array *array = &object->via.array;
    if (object->type != MSGPACK_OBJECT_ARRAY || array->size != 1 ||
        array->ptr[0].type != MSGPACK_OBJECT_MAP)
        return;
    const msgpack_object_map *map = &array->ptr[0].via.map;
    for (uint32_t i = 0; i < map->size; i++) {
        const msgpack_object_str *name = &map->ptr[i].key.via.str;
        bool is_named = map->ptr[i].key.type == MSGPACK_OBJECT_STR &&
                        name->size < WIRE_METHOD_MAX && wire_is_text(name->ptr, name->size);
        cJSON *value = is_named ? from_object(&map->ptr[i].val) : NULL;
        if (!value && is_named)
            memcpy(ret, name->ptr, name->size);
        if (!value)
            return;
        wire_delete(value);
    }
}

int wire_unpack_request(const char *frame, size_t len, struct wire_request *ret)
{
    *ret = (struct wire_request){0};
    msgpack_unpacked unpacked;
    int r = unpack_frame(frame, len, &unpacked);
    if (r < 0)
        return r;
    const msgpack_object *items = unpacked.data.via.array.ptr;
    r = read_envelope(&unpacked.data, KIND_REQUEST, &ret->msgid);
    if (r == 0)
        r = read_method(&items[2], ret->method);
    if (r == 0) {
        ret->params = read_params(&items[3]);
        r = ret->params ? 0 : -ERR_BAD_PARAMS;
    }
    if (r == -ERR_BAD_PARAMS)
        name_refused(&items[3], ret->refused);
    msgpack_unpacked_destroy(&unpacked);
    return r;
}

static const char *text_member(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* error: nil, or the map of a failure. A code this side does not know yet is an internal error. */
static int read_error(const cJSON *error, struct wire_error *ret)
{
    if (cJSON_IsNull(error))
        return 0;
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(error, "code");
    if (!cJSON_IsObject(error) || !cJSON_IsNumber(code))
        return -ERR_BAD_FRAME;
    ret->kind = error_kind_of_code((long)code->valuedouble);
    ret->message = text_member(error, "message");
    ret->detail = text_member(error, "detail");
    ret->next = text_member(error, "next");
    return 0;
}

int wire_unpack_response(const char *frame, size_t len, struct wire_response *ret)
{
    *ret = (struct wire_response){0};
    msgpack_unpacked unpacked;
    int r = unpack_frame(frame, len, &unpacked);
    if (r < 0)
        return r;
    r = read_envelope(&unpacked.data, KIND_RESPONSE, &ret->msgid);
    if (r == 0) {
        ret->body = from_object(&unpacked.data);
        r = ret->body ? read_error(cJSON_GetArrayItem(ret->body, 2), &ret->error) : -ERR_BAD_FRAME;
    }
    if (r == 0 && ret->error.kind == 0)
        ret->result = cJSON_GetArrayItem(ret->body, 3);
    if (r < 0)
        ret->body = wire_delete(ret->body);
    msgpack_unpacked_destroy(&unpacked);
    return r;
}

/* ---- cJSON to msgpack ---- */

/* Larger memory is got by hand and the old wiped: realloc() would leave a copy behind. */
static int grow(struct wire_frame *frame, size_t need)
{
    size_t cap = frame->cap ? frame->cap : 256;
    while (cap < need)
        cap *= 2;
    char *data = malloc(cap);
    if (!data)
        return -1;
    if (frame->len)
        memcpy(data, frame->data, frame->len);
    size_t len = frame->len;
    wire_frame_release(frame);
    *frame = (struct wire_frame){data, len, cap};
    return 0;
}

/* msgpack-c's way to write: -1 ends the packing. */
static int append(void *ctx, const char *data, size_t len)
{
    struct wire_frame *frame = ctx;
    if (len > WIRE_FRAME_MAX - frame->len)
        return -1;
    if (frame->len + len > frame->cap && grow(frame, frame->len + len) < 0)
        return -1;
    memcpy(frame->data + frame->len, data, len);
    frame->len += len;
    return 0;
}

/* The packer's own failures have one cause: append() found no room. */
static int packed(int r)
{
    return r < 0 ? -ERR_TOO_LARGE : 0;
}

static int pack_text(msgpack_packer *packer, const char *text)
{
    size_t len = strlen(text);
    if (!wire_is_text(text, len))
        return -ERR_INVALID_REQUEST;
    int r = packed(msgpack_pack_str(packer, len));
    return r < 0 ? r : packed(msgpack_pack_str_body(packer, text, len));
}

static int pack_number(msgpack_packer *packer, double value)
{
    if (!isfinite(value))
        return -ERR_INVALID_REQUEST;
    bool is_in_range = value >= -INT_MAX_EXACT && value <= INT_MAX_EXACT;
    if (is_in_range && value == (double)(int64_t)value)
        return packed(msgpack_pack_int64(packer, (int64_t)value));
    return packed(msgpack_pack_double(packer, value));
}

static int pack_value(msgpack_packer *packer, const cJSON *item, unsigned depth);

static int pack_container(msgpack_packer *packer, const cJSON *item, unsigned depth)
{
    if (depth == WIRE_DEPTH && item->child) /* an empty one opens nothing: wire_scan() takes it */
        return -ERR_INVALID_REQUEST;
    bool is_map = cJSON_IsObject(item);
    size_t count = (size_t)cJSON_GetArraySize(item);
    int r = packed(is_map ? msgpack_pack_map(packer, count) : msgpack_pack_array(packer, count));
    for (const cJSON *child = item->child; r == 0 && child; child = child->next) {
        if (is_map)
            r = pack_text(packer, child->string);
        if (r == 0)
            r = pack_value(packer, child, depth + 1);
    }
    return r;
}

static int pack_value(msgpack_packer *packer, const cJSON *item, unsigned depth)
{
    if (!item || cJSON_IsNull(item))
        return packed(msgpack_pack_nil(packer));
    if (cJSON_IsBool(item))
        return packed(cJSON_IsTrue(item) ? msgpack_pack_true(packer) : msgpack_pack_false(packer));
    if (cJSON_IsNumber(item))
        return pack_number(packer, item->valuedouble);
    if (cJSON_IsString(item))
        return pack_text(packer, item->valuestring);
    if (cJSON_IsArray(item) || cJSON_IsObject(item))
        return pack_container(packer, item, depth);
    return -ERR_INVALID_REQUEST; /* raw JSON */
}

/* [kind, msgid, ... : the two values that follow are the caller's. */
static int pack_envelope(msgpack_packer *packer, int kind, uint32_t msgid)
{
    int r = packed(msgpack_pack_array(packer, 4));
    if (r == 0)
        r = packed(msgpack_pack_int(packer, kind));
    return r < 0 ? r : packed(msgpack_pack_uint32(packer, msgid));
}

/* Where packing ends: what was refused half-way leaves nothing. */
static int finish(struct wire_frame *frame, int r)
{
    struct wire_scan scan = {0};
    if (r == 0 && wire_scan(&scan, frame->data, frame->len) != (ssize_t)frame->len)
        r = -ERR_TOO_LARGE; /* more values than the other side takes */
    if (r < 0)
        wire_frame_release(frame);
    return r;
}

int wire_pack_request(uint32_t msgid, const char *method, const cJSON *params,
                      struct wire_frame *ret)
{
    *ret = (struct wire_frame){0};
    msgpack_packer packer;
    msgpack_packer_init(&packer, ret, append);
    int r = pack_envelope(&packer, KIND_REQUEST, msgid);
    if (r == 0)
        r = pack_text(&packer, method);
    if (r == 0)
        r = packed(msgpack_pack_array(&packer, params ? 1 : 0));
    if (r == 0 && params)
        r = pack_value(&packer, params, 2);
    return finish(ret, r);
}

static int pack_member(msgpack_packer *packer, const char *name, const char *text)
{
    int r = pack_text(packer, name);
    if (r < 0)
        return r;
    return text ? pack_text(packer, text) : packed(msgpack_pack_nil(packer));
}

static int pack_error(msgpack_packer *packer, const struct wire_error *error)
{
    const struct error_row *row = error_row(error->kind);
    int r = packed(msgpack_pack_map(packer, 5));
    if (r == 0)
        r = pack_text(packer, "code");
    if (r == 0)
        r = packed(msgpack_pack_int(packer, row->rpc_code));
    if (r == 0)
        r = pack_member(packer, "kind", row->name);
    if (r == 0)
        r = pack_member(packer, "message", error->message ? error->message : row->text);
    if (r == 0)
        r = pack_member(packer, "detail", error->detail);
    if (r == 0)
        r = pack_member(packer, "next", error->next ? error->next : row->next);
    return r;
}

int wire_pack_response(uint32_t msgid, const struct wire_error *error, const cJSON *result,
                       struct wire_frame *ret)
{
    *ret = (struct wire_frame){0};
    bool has_failed = error && error->kind != 0;
    msgpack_packer packer;
    msgpack_packer_init(&packer, ret, append);
    int r = pack_envelope(&packer, KIND_RESPONSE, msgid);
    if (r == 0)
        r = has_failed ? pack_error(&packer, error) : packed(msgpack_pack_nil(&packer));
    if (r == 0)
        r = pack_value(&packer, has_failed ? NULL : result, 1);
    return finish(ret, r);
}

void wire_frame_release(struct wire_frame *frame)
{
    if (frame->data)
        explicit_bzero(frame->data, frame->cap);
    free(frame->data);
    *frame = (struct wire_frame){0};
}
