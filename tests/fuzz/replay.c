/*
 * Feeds every file of the folders given to a fuzz target: the corpus as an ordinary test, without
 * libFuzzer. Fails when there was no file.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input stands in memory of exactly its size, so that a sanitizer sees reads beyond it. */
static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    long size = -1;
    if (file && fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    uint8_t *data = size >= 0 ? malloc(size > 0 ? (size_t)size : 1) : NULL;
    int r = -1;
    if (data && fseek(file, 0, SEEK_SET) == 0 && fread(data, 1, (size_t)size, file) == (size_t)size)
        r = LLVMFuzzerTestOneInput(data, (size_t)size);
    else
        fprintf(stderr, "cannot read %s\n", path);
    free(data);
    if (file)
        fclose(file);
    return r;
}

static int replay_folder(const char *folder, unsigned *count)
{
    DIR *listing = opendir(folder);
    if (!listing) {
        fprintf(stderr, "cannot open %s\n", folder);
        return -1;
    }
    int r = 0;
    for (struct dirent *entry; r == 0 && (entry = readdir(listing));) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        r = replay_file(path);
        (*count)++;
    }
    closedir(listing);
    return r;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    for (int i = 1; i < argc; i++)
        if (replay_folder(argv[i], &count) < 0)
            return 1;
    printf("%u inputs replayed\n", count);
    return count > 0 ? 0 : 1;
}
