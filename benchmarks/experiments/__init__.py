"""One module per experiment; every module here is one, and is found by its name (see ``benchmarks.suite``)."""
