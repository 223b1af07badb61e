import realtime  # noqa: F401 (first of all: it turns off what dependencies report)
