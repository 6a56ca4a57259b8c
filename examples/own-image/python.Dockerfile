# A queue's own image, in Python. Build it in the folder above:
#   docker build -f own-image/python.Dockerfile -t my-registry/word-count .
FROM python:3.13-slim-bookworm
COPY --chmod=555 word_count.py /usr/local/bin/word-count
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/word-count"]
