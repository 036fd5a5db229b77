"""The room that tells people what was found: one set of data, one module per format.

`report.ReportData` is plain data handed in by `service`; `formats.FORMATS` is the table of
formats, each a `render(data) -> Iterator[str]` that streams. Nothing here opens a file or a
database.
"""
