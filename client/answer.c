/* Reading and printing the daemon's answers; see answer.h. */
#include "client/answer.h"

#include <stdlib.h>
#include <string.h>

const cJSON *answer_get(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

const char *answer_text(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(answer_get(object, name));
    return text ? text : "";
}

int64_t answer_int(const cJSON *object, const char *name, int64_t otherwise)
{
    const cJSON *item = answer_get(object, name);
    return cJSON_IsNumber(item) ? (int64_t)item->valuedouble : otherwise;
}

bool answer_is(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(answer_get(object, name));
}

char *answer_join(char *out, size_t size, const cJSON *array)
{
    size_t used = 0;
    const cJSON *item;
    out[0] = '\0';
    cJSON_ArrayForEach(item, array)
    {
        const char *text = cJSON_GetStringValue(item);
        int n = snprintf(out + used, size - used, "%s%s", used ? ", " : "", text ? text : "");
        if (n < 0 || (size_t)n >= size - used)
            break;
        used += (size_t)n;
    }
    return out;
}

FILE *answer_text_begin(struct text_answer *answer)
{
    *answer = (struct text_answer){0};
    answer->out = open_memstream(&answer->text, &answer->size);
    if (!answer->out)
        abort();
    return answer->out;
}

void answer_text_print(struct text_answer *answer, FILE *out)
{
    fclose(answer->out);
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "text", answer->text);
    answer_print_json(out, object);
    cJSON_Delete(object);
    free(answer->text);
}

/* A string or number as JSON. cJSON escapes C0; DEL and C1 act on terminals as well. */
static void print_scalar(FILE *out, const cJSON *item)
{
    char *text = cJSON_PrintUnformatted(item);
    if (!text)
        abort();
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p == 0x7f)
            fputs("\\u007f", out);
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) /* C1, two bytes in UTF-8 */
            fprintf(out, "\\u%04x", *++p);
        else
            fputc(*p, out);
    free(text);
}

static void print_name(FILE *out, const char *name)
{
    cJSON item = {.type = cJSON_String, .valuestring = (char *)name};
    print_scalar(out, &item);
    fputs(": ", out);
}

/* Recursion is bounded by the depth that a frame of the wire may have. */
static void print_value(FILE *out, const cJSON *item, int indent)
{
    bool is_object = cJSON_IsObject(item);
    const cJSON *child;
    if (!item->child || !(is_object || cJSON_IsArray(item))) {
        print_scalar(out, item);
        return;
    }
    fputs(is_object ? "{\n" : "[\n", out);
    cJSON_ArrayForEach(child, item)
    {
        fprintf(out, "%*s", indent + 2, "");
        if (is_object)
            print_name(out, child->string);
        print_value(out, child, indent + 2);
        fputs(child->next ? ",\n" : "\n", out);
    }
    fprintf(out, "%*s%c", indent, "", is_object ? '}' : ']');
}

void answer_print_json(FILE *out, const cJSON *tree)
{
    print_value(out, tree, 0);
    fputc('\n', out);
}
