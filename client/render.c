/* Cleaned text, colour, tables and friendly numbers; see render.h. */
#include "client/render.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMN_GAP 2

/* ---- UTF-8 ---- */

/* Decodes one character. Returns its length in bytes, or 0 for bytes that are not UTF-8. */
static size_t decode_char(const char *text, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *s = (const unsigned char *)text;
    size_t len = s[0] < 0x80             ? 1
                 : (s[0] & 0xe0) == 0xc0 ? 2
                 : (s[0] & 0xf0) == 0xe0 ? 3
                 : (s[0] & 0xf8) == 0xf0 ? 4
                                         : 0;
    if (len == 0)
        return 0;
    uint32_t c = len == 1 ? s[0] : s[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) /* stops at the final NUL, too */
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    *ret = c;
    return len;
}

/* Characters that act on the terminal, or reorder the text around them. */
static bool is_harmful(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f || c == 0x2028 ||
           c == 0x2029 || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
           c == 0xfeff;
}

char *clean_text(char *out, size_t size, const char *text)
{
    size_t n = 0;
    while (*text) {
        uint32_t c = 0;
        size_t len = decode_char(text, &c);
        bool is_space = len == 1 && (c == '\t' || c == '\n');
        bool is_kept = len > 0 && !is_harmful(c);
        size_t needed = is_kept ? len : 1;
        if (n + needed + 1 > size)
            break;
        if (is_kept)
            memcpy(out + n, text, len);
        else
            out[n] = is_space ? ' ' : '?';
        n += needed;
        text += len ? len : 1;
    }
    out[n] = '\0';
    return out;
}

/* Ranges of characters that are not one column wide. */
static const struct {
    uint32_t first, last;
    int width;
} odd_widths[] = {
    {0x0300, 0x036f, 0},   {0x1100, 0x115f, 2},   {0x200b, 0x200d, 0},   {0x20d0, 0x20ff, 0},
    {0x2e80, 0x303e, 2},   {0x3041, 0xa4cf, 2},   {0xac00, 0xd7a3, 2},   {0xf900, 0xfaff, 2},
    {0xfe00, 0xfe0f, 0},   {0xfe30, 0xfe6f, 2},   {0xff00, 0xff60, 2},   {0xffe0, 0xffe6, 2},
    {0x1f300, 0x1f64f, 2}, {0x1f900, 0x1f9ff, 2}, {0x20000, 0x3fffd, 2},
};

static int char_width(uint32_t c)
{
    for (size_t i = 0; i < sizeof(odd_widths) / sizeof(odd_widths[0]); i++)
        if (c >= odd_widths[i].first && c <= odd_widths[i].last)
            return odd_widths[i].width;
    return 1;
}

static int width_of_bytes(const char *text, size_t n)
{
    int width = 0;
    uint32_t c = 0;
    for (size_t i = 0, len; i < n; i += len ? len : 1) {
        len = decode_char(text + i, &c);
        width += len ? char_width(c) : 1;
    }
    return width;
}

int display_width(const char *text)
{
    return width_of_bytes(text, strlen(text));
}

/* Bytes of the first character; one for what is no character. */
static size_t char_length(const char *text)
{
    uint32_t c;
    size_t len = decode_char(text, &c);
    return len ? len : 1;
}

/* Bytes of text that fit into so many columns. */
static size_t fitting_bytes(const char *text, int columns)
{
    size_t n = 0;
    uint32_t c = 0;
    while (text[n]) {
        size_t len = decode_char(text + n, &c);
        columns -= len ? char_width(c) : 1;
        if (columns < 0)
            break;
        n += len ? len : 1;
    }
    return n;
}

/* ---- the screen ---- */

static bool locale_is_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = getenv(names[i]);
        if (value && value[0])
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

static bool colour_is_wanted(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return !(no_color && no_color[0]) && term && strcmp(term, "dumb") != 0;
}

struct screen screen_of(FILE *out, bool no_colour)
{
    struct screen screen = {.out = out, .has_utf8 = locale_is_utf8()};
    struct winsize size;
    if (!isatty(fileno(out)))
        return screen;
    screen.has_colour = !no_colour && colour_is_wanted();
    screen.width = ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
    return screen;
}

static const char *tone_code(enum tone tone)
{
    static const char *const codes[] = {
        [TONE_PLAIN] = "",          [TONE_BOLD] = "\033[1m",  [TONE_DIM] = "\033[2m",
        [TONE_GOOD] = "\033[32m",   [TONE_WARN] = "\033[33m", [TONE_BAD] = "\033[31m",
        [TONE_ACCENT] = "\033[36m",
    };
    return codes[tone];
}

/* Prints text that is clean already, cut to n bytes. */
static void put_clean(const struct screen *screen, enum tone tone, const char *text, size_t n)
{
    bool is_toned = screen->has_colour && tone != TONE_PLAIN && n > 0;
    if (is_toned)
        fputs(tone_code(tone), screen->out);
    fwrite(text, 1, n, screen->out);
    if (is_toned)
        fputs("\033[0m", screen->out);
}

void screen_put(const struct screen *screen, enum tone tone, const char *text)
{
    size_t size = strlen(text) + 1;
    char *clean = malloc(size);
    if (!clean)
        abort();
    clean_text(clean, size, text);
    put_clean(screen, tone, clean, strlen(clean));
    free(clean);
}

void screen_printf(const struct screen *screen, enum tone tone, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    screen_put(screen, tone, text);
}

/* Bytes of the whole words that fit into so many columns; with `must` at least one word. */
static size_t fitting_words(const char *text, int columns, bool must)
{
    size_t end = 0;
    while (text[end]) {
        size_t stop = end + strspn(text + end, " ");
        stop += strcspn(text + stop, " ");
        if (width_of_bytes(text, stop) > columns && (end > 0 || !must))
            break;
        end = stop;
    }
    return end;
}

void screen_wrap(const struct screen *screen, enum tone tone, int from, int indent,
                 const char *text)
{
    size_t size = strlen(text) + 1;
    char *clean = malloc(size);
    if (!clean)
        abort();
    const char *rest = clean_text(clean, size, text);
    int column = from;
    while (*rest) {
        size_t n = screen->width ? fitting_words(rest, screen->width - column, column <= indent)
                                 : strlen(rest);
        put_clean(screen, tone, rest, n);
        rest += n;
        rest += strspn(rest, " ");
        if (*rest)
            fprintf(screen->out, "\n%*s", indent, "");
        column = indent;
    }
    free(clean);
}

/* ---- tables ---- */

void table_init(struct table *table, const struct column *columns, size_t count, int indent)
{
    *table = (struct table){.columns = columns, .column_count = count, .indent = indent};
}

void table_release(struct table *table)
{
    for (size_t i = 0; i < table->filled; i++)
        free(table->cells[i].text);
    free(table->cells);
    *table = (struct table){0};
}

void table_add(struct table *table, enum tone tone, const char *text)
{
    if (table->filled == table->capacity) {
        table->capacity = table->capacity ? 2 * table->capacity : 8 * table->column_count;
        table->cells = realloc(table->cells, table->capacity * sizeof(*table->cells));
        if (!table->cells)
            abort();
    }
    size_t size = text ? strlen(text) + 1 : 1;
    char *clean = malloc(size);
    if (!clean)
        abort();
    clean_text(clean, size, text ? text : "");
    table->cells[table->filled++] = (struct cell){clean, tone};
    table->row_count = (table->filled + table->column_count - 1) / table->column_count;
}

static const struct cell *cell_at(const struct table *table, size_t row, size_t column)
{
    size_t at = row * table->column_count + column;
    return at < table->filled ? &table->cells[at] : NULL;
}

static void natural_widths(const struct table *table, int *widths)
{
    for (size_t c = 0; c < table->column_count; c++) {
        const char *title = table->columns[c].title;
        widths[c] = title ? display_width(title) : 0;
        for (size_t r = 0; r < table->row_count; r++) {
            const struct cell *cell = cell_at(table, r, c);
            int width = cell ? display_width(cell->text) : 0;
            if (width > widths[c])
                widths[c] = width;
        }
    }
}

/* The widest column that may still be cut, or -1. */
static int widest_cuttable(const struct table *table, const int *widths)
{
    int found = -1;
    for (size_t c = 0; c < table->column_count; c++) {
        int least = table->columns[c].least;
        if (least > 0 && widths[c] > least && (found < 0 || widths[c] > widths[found]))
            found = (int)c;
    }
    return found;
}

/* The width of a line; `is_cut`: when everything is cut that may be. */
static int line_width(const struct table *table, const int *widths, bool is_cut)
{
    int total = table->indent - COLUMN_GAP;
    for (size_t c = 0; c < table->column_count; c++) {
        int least = table->columns[c].least;
        int width = is_cut && least > 0 && widths[c] > least ? least : widths[c];
        total += width ? width + COLUMN_GAP : 0;
    }
    return total;
}

/* Leaves out the column that may go first. False when there is none. */
static bool drop_column(const struct table *table, int *widths)
{
    int found = -1;
    for (size_t c = 0; c < table->column_count; c++) {
        int drops = table->columns[c].drops;
        if (drops && widths[c] && (found < 0 || drops > table->columns[found].drops))
            found = (int)c;
    }
    if (found >= 0)
        widths[found] = 0;
    return found >= 0;
}

/* Leaves out columns until the line can fit, then takes from the widest cells until it does. */
static void fit_widths(const struct table *table, int screen_width, int *widths)
{
    if (screen_width == 0)
        return;
    while (line_width(table, widths, true) > screen_width)
        if (!drop_column(table, widths))
            break;
    for (int total = line_width(table, widths, false); total > screen_width; total--) {
        int c = widest_cuttable(table, widths);
        if (c < 0)
            return;
        widths[c]--;
    }
}

/* The text with a mark where it was cut. The caller frees it. */
static char *cut_text(const struct screen *screen, const struct column *column, const char *text,
                      int width)
{
    const char *mark = screen->has_utf8 ? "\u2026" : "~";
    const char *tail = text;
    char *cut = NULL;
    while (column->keeps_end && display_width(tail) > width - 1)
        tail += char_length(tail);
    int r = column->keeps_end
                ? asprintf(&cut, "%s%s", mark, tail)
                : asprintf(&cut, "%.*s%s", (int)fitting_bytes(text, width - 1), text, mark);
    if (r < 0)
        abort();
    return cut;
}

static void print_cell(const struct screen *screen, const struct column *column, enum tone tone,
                       const char *text, int width, bool is_last)
{
    char *cut = NULL;
    if (display_width(text) > width)
        text = cut = cut_text(screen, column, text, width);
    int pad = width - display_width(text);
    if (column->is_right)
        fprintf(screen->out, "%*s", pad, "");
    put_clean(screen, tone, text, strlen(text));
    free(cut);
    if (!is_last)
        fprintf(screen->out, "%*s", (column->is_right ? 0 : pad) + COLUMN_GAP, "");
}

/* The last column of a row that shows anything: nothing is padded behind it. */
static size_t last_shown(const struct table *table, const int *widths, size_t row)
{
    size_t last = 0;
    for (size_t c = 0; c < table->column_count; c++) {
        const struct cell *cell = cell_at(table, row, c);
        if (cell && cell->text[0] && widths[c])
            last = c;
    }
    return last;
}

static void print_headings(const struct table *table, const struct screen *screen,
                           const int *widths)
{
    if (!table->columns[0].title)
        return;
    size_t last = table->column_count - 1;
    while (last > 0 && widths[last] == 0)
        last--;
    fprintf(screen->out, "%*s", table->indent, "");
    for (size_t c = 0; c <= last; c++)
        if (widths[c])
            print_cell(screen, &table->columns[c], TONE_DIM, table->columns[c].title, widths[c],
                       c == last);
    fputc('\n', screen->out);
}

void table_print(const struct table *table, const struct screen *screen)
{
    int widths[TABLE_COLUMNS];
    natural_widths(table, widths);
    fit_widths(table, screen->width, widths);
    print_headings(table, screen, widths);
    for (size_t r = 0; r < table->row_count; r++) {
        size_t last = last_shown(table, widths, r);
        fprintf(screen->out, "%*s", table->indent, "");
        for (size_t c = 0; c <= last; c++) {
            const struct cell *cell = cell_at(table, r, c);
            if (widths[c])
                print_cell(screen, &table->columns[c], cell->tone, cell->text, widths[c],
                           c == last);
        }
        fputc('\n', screen->out);
    }
}

/* ---- friendly spellings ---- */

char *format_span(char *out, size_t size, int64_t ms)
{
    int64_t s = ms / 1000;
    if (ms < 0)
        snprintf(out, size, "-");
    else if (ms > 0 && ms < 1000)
        snprintf(out, size, "%d ms", (int)ms);
    else if (s < 60 && ms % 1000 == 0)
        snprintf(out, size, "%d s", (int)s);
    else if (s < 60)
        snprintf(out, size, "%d.%d s", (int)s, (int)(ms % 1000 / 100));
    else if (s < 3600)
        snprintf(out, size, "%d min %d s", (int)(s / 60), (int)(s % 60));
    else if (s < 86400)
        snprintf(out, size, "%d h %d min", (int)(s / 3600), (int)(s % 3600 / 60));
    else
        snprintf(out, size, "%lld d %d h", (long long)(s / 86400), (int)(s % 86400 / 3600));
    return out;
}

char *format_ago(char *out, size_t size, int64_t ms)
{
    int64_t s = ms / 1000;
    if (s < 2)
        snprintf(out, size, "just now");
    else if (s < 60)
        snprintf(out, size, "%d s ago", (int)s);
    else if (s < 3600)
        snprintf(out, size, "%d min ago", (int)(s / 60));
    else if (s < 86400)
        snprintf(out, size, "%d h ago", (int)(s / 3600));
    else
        snprintf(out, size, "%lld d ago", (long long)(s / 86400));
    return out;
}

char *format_count(char *out, size_t size, int64_t count)
{
    if (count < 10000)
        snprintf(out, size, "%lld", (long long)count);
    else if (count < 100000)
        snprintf(out, size, "%lld.%lldk", (long long)(count / 1000),
                 (long long)(count % 1000 / 100));
    else if (count < 1000000)
        snprintf(out, size, "%lldk", (long long)(count / 1000));
    else
        snprintf(out, size, "%lld.%lldM", (long long)(count / 1000000),
                 (long long)(count % 1000000 / 100000));
    return out;
}

char *format_path(char *out, size_t size, const char *path)
{
    const char *home = getenv("HOME");
    size_t n = home ? strlen(home) : 0;
    while (n > 1 && home[n - 1] == '/')
        n--;
    if (n > 1 && strncmp(path, home, n) == 0 && (path[n] == '/' || path[n] == '\0'))
        snprintf(out, size, "~%s", path + n);
    else
        snprintf(out, size, "%s", path);
    return out;
}

char *format_masked(char *out, size_t size, const char *text)
{
    static const char own[] = "sk-aictl-";
    size_t len = strlen(text);
    size_t head = strncmp(text, own, sizeof(own) - 1) == 0 ? sizeof(own) - 1 + 2 : 3;
    if (strstr(text, "...") || strstr(text, "\u2026") || strchr(text, '*'))
        snprintf(out, size, "%s", text);
    else if (len < head + 8)
        snprintf(out, size, "...");
    else
        snprintf(out, size, "%.*s...%s", (int)head, text, text + len - 2);
    return out;
}
