"""The report: tables in the paper's shape, curves, maps and judges, rebuilt from the files that runs have left.

Nothing here opens an environment or a model. `runs` reads, `scores` estimates, `paper` says what the paper claims,
`figures` draws, `sections` puts these together, `document` writes Markdown and HTML.
"""
