"""Single mistakes put into the code, each of which a test must notice.

`*.toml` beside this lists them, by package of `realtime/`. `make mutants` tries them.
"""
