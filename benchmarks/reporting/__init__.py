"""Reports: tables in the shape of the paper's, plots, maps and judges, made from the files of runs.

Nothing here opens an environment or a model. `standings` summarises methods, `targets` checks numbers, `paper` holds
the paper's claims, `plots` draws. `tables`, `pictures`, `judged` and `episodes` make blocks of these, `sections` puts
them in order, `document` writes Markdown and HTML, `build` writes the pages.
"""
