/* Private files: what is refused, and replacing without a half-written moment. */
#include "base/file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[64];
static char path[128];

static void setup(void)
{
    snprintf(dir, sizeof(dir), "/tmp/aictl-base-file.XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/f", dir);
}

static void cleanup(void)
{
    unlink(path);
    rmdir(dir);
}

static int read_it(const char *at, size_t max, struct err *err)
{
    struct bytes text = {.max = max};
    int r = file_read(at, &text, NULL, err);
    bytes_release(&text);
    return r;
}

TestSuite(file, .init = setup, .fini = cleanup);

Test(file, what_was_written_is_read_with_its_mode)
{
    struct bytes text = {.max = 100};
    struct stat st;
    cr_assert_eq(file_replace(path, SPAN("first"), 0644, NULL), 0);
    cr_assert_eq(file_replace(path, SPAN("second"), 0600, NULL), 0);
    cr_assert_eq(file_read(path, &text, &st, NULL), 0);
    cr_expect_str_eq(text.data, "second");
    cr_expect_eq(st.st_mode & 07777, 0600u);
    bytes_release(&text);
}

Test(file, nothing_is_left_beside_a_replaced_file)
{
    cr_assert_eq(file_replace(path, SPAN("x"), 0600, NULL), 0);
    DIR *listing = opendir(dir);
    size_t files = 0;
    for (struct dirent *entry; (entry = readdir(listing));)
        files += entry->d_name[0] != '.';
    closedir(listing);
    cr_expect_eq(files, 1u);
}

Test(file, a_missing_file_and_one_too_large_say_so)
{
    struct err err = {0};
    cr_expect_eq(read_it(path, 100, &err), -ERR_NOT_FOUND);
    cr_expect(strstr(err.detail, path), "%s", err.detail);
    cr_assert_eq(file_replace(path, SPAN("12345678"), 0600, NULL), 0);
    cr_expect_eq(read_it(path, 8, &err), 0);
    cr_expect_eq(read_it(path, 7, &err), -ERR_TOO_LARGE);
}

Test(file, links_and_special_files_are_refused)
{
    struct bytes text = {.max = 100};
    struct err err = {0};
    char target[160];
    snprintf(target, sizeof(target), "%s/target", dir);
    cr_assert_eq(file_replace(target, SPAN("x"), 0600, NULL), 0);
    cr_assert_eq(symlink(target, path), 0);
    cr_expect_eq(read_it(path, 100, &err), -ERR_FORBIDDEN);
    cr_expect_eq(file_read_followed(path, &text, NULL, NULL), 0, "where links are allowed");
    unlink(path);
    unlink(target);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_eq(read_it(path, 100, &err), -ERR_FORBIDDEN, "a FIFO neither blocks nor is read");
    cr_expect_eq(read_it(dir, 100, &err), -ERR_FORBIDDEN);
    bytes_release(&text);
}

Test(file, a_directory_that_is_missing_is_an_error_with_the_path)
{
    struct err err = {0};
    char missing[160];
    snprintf(missing, sizeof(missing), "%s/no/f", dir);
    cr_expect_eq(file_replace(missing, SPAN("x"), 0600, &err), -ERR_IO);
    cr_expect(strstr(err.detail, "no/f"), "%s", err.detail);
}
