/* A job of one's own, in one's own image: the CRC-32 of the payload. It needs no library of Tallyman's, and no libc in
 * its image. Everything it uses is in docs/own-job.md. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DONE = 0, AGAIN = 1, FOR_GOOD = 65 };

/* The polynomial of gzip and PNG, so that `gzip -l -v` or Python's zlib.crc32 can check the result. */
static uint32_t crc32_add(uint32_t crc, const unsigned char *bytes, size_t n) {
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

/* Writes one line to the file that an environment variable names; without the variable there is nothing to say. */
static int tell(const char *variable, const char *mode, const char *line) {
    const char *path = getenv(variable);
    if (path == NULL || *path == '\0')
        return 1;
    FILE *f = fopen(path, mode);
    if (f == NULL)
        return 0;
    int written = fputs(line, f) >= 0;
    return fclose(f) == 0 && written;
}

static const char *or_else(const char *value, const char *otherwise) {
    return value != NULL && *value != '\0' ? value : otherwise;
}

int main(void) {
    /* A salt comes from a Secret of the queue's namespace, as a queue's `env` puts it there; it is never in a payload. */
    const char *salt = or_else(getenv("CHECKSUM_SALT"), "");
    uint32_t crc = crc32_add(0, (const unsigned char *)salt, strlen(salt));
    unsigned long total = 0;
    unsigned char chunk[4096];
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0) {
        crc = crc32_add(crc, chunk, n);
        total += n;
    }
    if (ferror(stdin)) {
        perror("reading the payload");
        return AGAIN;
    }
    if (total == 0) {
        fputs("the payload is empty: another attempt would read the same nothing\n", stderr);
        return FOR_GOOD;
    }
    char line[160];
    snprintf(line, sizeof line, "%lu/%lu bytes\n", total, total);
    tell("TALLYMAN_PROGRESS_FILE", "a", line); /* progress is a courtesy, and nothing fails for it */
    snprintf(line, sizeof line, "{\"bytes\":%lu,\"crc32\":\"%08x\",\"salted\":%s,\"image\":\"own-image\"}\n", total,
             (unsigned)crc, *salt ? "true" : "false");
    if (!tell("TALLYMAN_RESULT_FILE", "w", line)) {
        perror("writing the result");
        return AGAIN;
    }
    printf("attempt %s of job %s: %lu bytes, crc32 %08x\n", or_else(getenv("TALLYMAN_ATTEMPT"), "1"),
           or_else(getenv("TALLYMAN_JOB_ID"), "none"), total, (unsigned)crc);
    return DONE;
}
