#!/usr/bin/env python3
"""A job of one's own: counts the words of a text, and shows all that a job may use."""
import collections
import json
import os
import sys


def progress(done, total):
    path = os.environ.get("TALLYMAN_PROGRESS_FILE")
    if path:
        with open(path, "a") as f:
            f.write(f"{done}/{total} words\n")


def main():
    payload = json.load(sys.stdin)
    text = payload.get("text")
    if not isinstance(text, str):
        print("text: is required, and must be a string", file=sys.stderr)
        return 65  # failed for good: another attempt would read the same payload
    words = text.split()
    counts = collections.Counter(words)
    progress(len(words), len(words))
    print(f"attempt {os.environ.get('TALLYMAN_ATTEMPT', '1')} counted {len(words)} words")
    result = {"words": len(words), "distinct": len(counts), "top": counts.most_common(3)}
    path = os.environ.get("TALLYMAN_RESULT_FILE")
    if path:
        with open(path, "w") as f:
            json.dump(result, f)
    return 0


if __name__ == "__main__":
    sys.exit(main())
