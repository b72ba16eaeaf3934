/* form.h: what the first bytes of an answer say. */
#include "gateway/form.h"

#include <criterion/criterion.h>

Test(form, the_first_bytes_decide)
{
    static const struct {
        const char *body;
        bool says_stream;
        enum form form;
    } rows[] = {
        {"", false, FORM_UNKNOWN},
        {"", true, FORM_UNKNOWN},
        {" \r\n\t", true, FORM_UNKNOWN},
        {"{", false, FORM_WHOLE},
        {"   \n\n{\"id\":1}", false, FORM_WHOLE},
        {"{\"id\":1}", true, FORM_WHOLE},
        {"[{", true, FORM_WHOLE},
        {"data: {}", false, FORM_STREAM},
        {"data:{}", false, FORM_STREAM},
        {"dat", false, FORM_UNKNOWN},
        {"d", true, FORM_STREAM},
        {"date", false, FORM_WHOLE},
        {"event: x", false, FORM_STREAM},
        {": OPENROUTER PROCESSING", false, FORM_STREAM},
        {"error: {", false, FORM_STREAM},
        {"retr", false, FORM_UNKNOWN},
        {"<html>", false, FORM_WHOLE},
        {"anything", true, FORM_STREAM},
        {"\xef\xbb\xbf"
         "data:",
         false, FORM_STREAM},
        {"\xef\xbb\xbf"
         "{",
         true, FORM_WHOLE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect_eq(form_sniff(span_of(rows[i].body), rows[i].says_stream), rows[i].form,
                     "row %zu: %s", i, rows[i].body);
}
